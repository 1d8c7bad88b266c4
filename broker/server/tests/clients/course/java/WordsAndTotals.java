import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

/**
 * Counts the words of sentences, and sums what users have paid, with Kafka Streams.
 *
 * <p>WordsAndTotals STATE_DIRECTORY BOOTSTRAP
 *
 * <p>Every change of the state is written to a changelog topic as well. An instance that comes without
 * the state, because it runs elsewhere or the disk is gone, restores it from there and goes on where
 * the last commit was. Runs until the end of standard input, then prints its state, and how many
 * changes it has restored.
 */
public final class WordsAndTotals {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        // The same word comes in sentences of all partitions: a topic between sends each to one place.
        builder.<String, String>stream("sentences")
            .flatMapValues(sentence -> List.of(sentence.split(" ")))
            .groupBy((key, word) -> word, Grouped.as("words"))
            .count(Materialized.as("word-counts"))
            .toStream()
            .mapValues(String::valueOf)
            .to("word-counts");
        // Payments have their user as key already.
        builder.<String, String>stream("payments")
            .groupByKey()
            .aggregate(
                () -> 0L,
                (user, amount, total) -> total + Long.parseLong(amount),
                Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("totals")
                    .withValueSerde(Serdes.Long()))
            .toStream()
            .mapValues(String::valueOf)
            .to("totals");
        return builder.build();
    }

    private static Properties properties(String stateDirectory, String bootstrap) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "words-and-totals");
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, stateDirectory);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        // Every change is sent on, not only the last before a commit.
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        // Who is killed is missed as soon as brokers allow.
        properties.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
        properties.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 500);
        return properties;
    }

    /** Counts what is restored, by store. */
    private static final class Restored implements StateRestoreListener {
        private final Map<String, Long> counts = new ConcurrentSkipListMap<>();

        @Override
        public void onRestoreStart(TopicPartition partition, String store, long start, long end) {
            counts.putIfAbsent(store, 0L);
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long count) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long count) {
            counts.merge(store, count, Long::sum);
        }
    }

    private static Map<String, Long> contents(KafkaStreams streams, String name) {
        ReadOnlyKeyValueStore<String, Long> store = streams.store(
            StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.keyValueStore()));
        Map<String, Long> contents = new TreeMap<>();
        try (var entries = store.all()) {
            entries.forEachRemaining(entry -> contents.put(entry.key, entry.value));
        }
        return contents;
    }

    public static void main(String[] arguments) throws IOException {
        Restored restored = new Restored();
        try (KafkaStreams streams = new KafkaStreams(topology(), properties(arguments[0], arguments[1]))) {
            streams.setGlobalStateRestoreListener(restored);
            streams.start();
            while (System.in.read() != -1) {
                // Nothing is expected but the end.
            }
            System.out.println(JSON.writeValueAsString(Map.of(
                "word-counts", contents(streams, "word-counts"),
                "totals", contents(streams, "totals"),
                "restored", restored.counts)));
        }
    }
}
