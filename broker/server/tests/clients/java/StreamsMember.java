import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaClientSupplier;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * A member of a group, as an instance of a Kafka Streams application: ../python/member.py describes it.
 * The protocol is Streams' own. What a task is begun with is assigned, and revoked when it ends.
 * Commits are asked for after every record, and made when Streams comes to it.
 */
public final class StreamsMember implements KafkaClientSupplier {
    /** Knows the generation. */
    private Consumer<byte[], byte[]> consumer;

    public static void main(String[] arguments) throws InterruptedException {
        AtomicBoolean isOver = Events.termination();
        StreamsMember member = new StreamsMember();
        Topology topology = new Topology()
            .addSource("source", arguments[2])
            .addProcessor("member", member::task, "source");
        Properties properties = properties(arguments[0], arguments[1], arguments[3], arguments[5]);
        try (KafkaStreams streams = new KafkaStreams(topology, properties, member)) {
            streams.start();
            while (!isOver.get()) {
                if (streams.state().hasCompletedShutdown()) {
                    System.err.println("Streams has ended by itself: " + streams.state());
                    Runtime.getRuntime().halt(1);
                }
                Thread.sleep(50);
            }
        }
        Events.tell("closed", Map.of());
    }

    private static Properties properties(
            String bootstrap, String group, String instance, String commit) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commit.equals("each") ? 50 : 500);
        properties.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
        properties.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 500);
        properties.put(StreamsConfig.consumerPrefix("fetch.max.wait.ms"), 100);
        if (!instance.equals("-")) {
            properties.put(StreamsConfig.consumerPrefix("group.instance.id"), instance);
        }
        return properties;
    }

    private Processor<byte[], byte[], Void, Void> task() {
        return new Processor<>() {
            private ProcessorContext<Void, Void> context;

            private void tell(String event) {
                Events.tell(event, Map.of(
                    "partitions", List.of(context.taskId().partition()),
                    "generation", consumer.groupMetadata().generationId()));
            }

            @Override
            public void init(ProcessorContext<Void, Void> context) {
                this.context = context;
                tell("assigned");
            }

            @Override
            public void process(Record<byte[], byte[]> record) {
                var from = context.recordMetadata().orElseThrow();
                Events.tell("record", Map.of("partition", from.partition(), "offset", from.offset()));
                context.commit();
            }

            @Override
            public void close() {
                tell("revoked");
            }
        };
    }

    @Override
    public Admin getAdmin(Map<String, Object> config) {
        return Admin.create(config);
    }

    @Override
    public Producer<byte[], byte[]> getProducer(Map<String, Object> config) {
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    @Override
    public Consumer<byte[], byte[]> getConsumer(Map<String, Object> config) {
        consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        return consumer;
    }

    @Override
    public Consumer<byte[], byte[]> getRestoreConsumer(Map<String, Object> config) {
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    @Override
    public Consumer<byte[], byte[]> getGlobalConsumer(Map<String, Object> config) {
        return getRestoreConsumer(config);
    }
}
