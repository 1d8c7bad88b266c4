import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Partitioner;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.clients.producer.RoundRobinPartitioner;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What a client can do, through Kafka's own: ../python/librdkafka.py describes the commands.
 */
public final class Matrix {
    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final long FIRST_TIME_MS = 1_700_000_000_000L;
    private static final int MESSAGE_BYTES_MAX = 1_500_000;
    private static final int MIB = 1 << 20;
    private static final int OUTSTANDING_MAX = 300;

    private static final int ROUND_ROBIN_COUNT = 40;
    private static final int KEYS = 20;
    private static final int OF_EACH_KEY = 10;
    private static final List<String> USERS =
        List.of("vip-1", "user-1", "vip-2", "user-2", "user-3", "user-10", "user-25");
    private static final int OF_EACH_USER = 5;

    private final String bootstrap;

    private Matrix(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] arguments) throws Exception {
        Matrix matrix = new Matrix(arguments[1]);
        Map<String, Object> result = switch (arguments[0]) {
            case "topics" -> matrix.topics(arguments[2]);
            case "write" -> matrix.write(arguments[2]);
            case "read" -> matrix.read(arguments[2]);
            case "place" -> matrix.place();
            case "load" -> matrix.load(arguments[2], Integer.parseInt(arguments[3]));
            case "transact" -> matrix.transact();
            default -> throw new IllegalArgumentException(arguments[0]);
        };
        System.out.println(new ObjectMapper().writeValueAsString(result));
    }

    private interface Action {
        void run() throws Exception;
    }

    /** The number of the error that an action ends with, 0 for none. */
    private static int codeOf(Action action) throws Exception {
        try {
            action.run();
            return 0;
        } catch (ExecutionException failure) {
            return Errors.forException(failure.getCause()).code();
        } catch (OffsetOutOfRangeException failure) {
            return Errors.OFFSET_OUT_OF_RANGE.code();
        } catch (org.apache.kafka.common.KafkaException failure) {
            return Errors.forException(failure).code();
        }
    }

    private static <T> T get(Future<T> future) throws Exception {
        return future.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        return properties;
    }

    private Admin admin() {
        return Admin.create(properties());
    }

    private KafkaProducer<byte[], byte[]> producer(String codec) {
        return producer(Map.of("compression.type", codec));
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, String> more) {
        Properties properties = properties();
        // What is flushed together is in one batch, however slow the machine is.
        properties.put("linger.ms", "10000");
        properties.put("max.request.size", String.valueOf(4 * MIB));
        properties.putAll(more);
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer(String isolation) {
        Properties properties = properties();
        properties.put("auto.offset.reset", "none");
        properties.put("isolation.level", isolation);
        // What is asked for on the same connection waits for fetches that wait.
        properties.put("fetch.max.wait.ms", "100");
        return new KafkaConsumer<>(
            properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void create(
        Admin admin, String name, int partitions, int replicas, Map<String, String> configs
    ) throws Exception {
        NewTopic topic = new NewTopic(name, partitions, (short) replicas).configs(configs);
        get(admin.createTopics(List.of(topic)).all());
    }

    private static void delete(Admin admin, String name) throws Exception {
        get(admin.deleteTopics(List.of(name)).all());
    }

    private static void grow(Admin admin, String name, int partitions) throws Exception {
        get(admin.createPartitions(Map.of(name, NewPartitions.increaseTo(partitions))).all());
    }

    /** Asks for two partitions at a time. */
    private static List<Integer> partitions(Admin admin, String name) throws Exception {
        DescribeTopicsOptions options =
            new DescribeTopicsOptions().partitionSizeLimitPerResponse(2);
        return get(admin.describeTopics(List.of(name), options).allTopicNames())
            .get(name).partitions().stream().map(partition -> partition.partition()).toList();
    }

    private long send(ProducerRecord<byte[], byte[]> record) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("none")) {
            Future<RecordMetadata> sent = producer.send(record);
            producer.flush();
            return get(sent).offset();
        }
    }

    private static Config describe(Admin admin, ConfigResource resource) throws Exception {
        return get(admin.describeConfigs(List.of(resource)).all()).get(resource);
    }

    private Map<String, Object> topics(String prefix) throws Exception {
        String name = prefix + "-managed";
        String other = prefix + "-x";
        String unknown = prefix + "-unknown";
        Map<String, Object> result = new LinkedHashMap<>();
        try (Admin admin = admin()) {
            String size = String.valueOf(MESSAGE_BYTES_MAX);
            create(admin, name, 3, 1, Map.of("max.message.bytes", size));
            DescribeClusterResult cluster = admin.describeCluster();
            result.put("brokers", get(cluster.nodes()).stream().map(Node::id).toList());
            result.put("controller", get(cluster.controller()).id());
            result.put("has_cluster_id", !get(cluster.clusterId()).isEmpty());
            result.put("partitions", partitions(admin, name));
            grow(admin, name, 5);
            result.put("grown", partitions(admin, name));
            Config config = describe(admin, new ConfigResource(ConfigResource.Type.TOPIC, name));
            Map<String, Object> configs = new TreeMap<>();
            for (String key : List.of("max.message.bytes", "cleanup.policy")) {
                configs.put(key, List.of(config.get(key).value(), config.get(key).isDefault()));
            }
            result.put("configs", configs);
            ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
            result.put("broker_id", describe(admin, broker).get("broker.id").value());

            Map<String, Integer> errors = new TreeMap<>();
            errors.put("create again", codeOf(() -> create(admin, name, 1, 1, Map.of())));
            errors.put("create with a bad name",
                codeOf(() -> create(admin, "no blanks", 1, 1, Map.of())));
            errors.put("create with a bad config",
                codeOf(() -> create(admin, other, 1, 1, Map.of("no", "1"))));
            errors.put("create with a bad value",
                codeOf(() -> create(admin, other, 1, 1, Map.of("max.message.bytes", "many"))));
            errors.put("create with two copies",
                codeOf(() -> create(admin, other, 1, 2, Map.of())));
            errors.put("grow to fewer", codeOf(() -> grow(admin, name, 4)));
            errors.put("grow unknown", codeOf(() -> grow(admin, unknown, 4)));
            errors.put("delete unknown", codeOf(() -> delete(admin, unknown)));
            errors.put("describe unknown", codeOf(() ->
                describe(admin, new ConfigResource(ConfigResource.Type.TOPIC, unknown))));
            byte[] tooMuch = new byte[MESSAGE_BYTES_MAX + 1];
            errors.put("send too much", codeOf(() -> send(new ProducerRecord<>(name, tooMuch))));
            result.put("errors", errors);

            byte[] one = {1};
            result.put("made_by_sending",
                send(new ProducerRecord<>(prefix + "-made-by-sending", one)));
            delete(admin, name);
            Collection<String> left = get(admin.listTopics().names());
            result.put("left",
                left.stream().filter(topic -> topic.startsWith(prefix + "-")).sorted().toList());
        }
        return result;
    }

    private Map<String, Object> write(String topic) throws Exception {
        try (Admin admin = admin()) {
            String size = String.valueOf(MESSAGE_BYTES_MAX);
            create(admin, topic, 2, 1, Map.of("max.message.bytes", size));
        }
        byte[] large = new byte[MIB];
        for (int i = 0; i < MIB; i++) {
            large[i] = (byte) (i * 31 + i / 251);
        }
        byte[] empty = {};
        List<Long> offsets = new ArrayList<>();
        long time = FIRST_TIME_MS;
        for (String codec : CODECS) {
            byte[] name = codec.getBytes(StandardCharsets.UTF_8);
            byte[] text = codec.repeat(100).getBytes(StandardCharsets.UTF_8);
            byte[] large_key = "large".getBytes(StandardCharsets.UTF_8);
            List<ProducerRecord<byte[], byte[]>> records = List.of(
                new ProducerRecord<>(topic, 0, time, name, text),
                new ProducerRecord<>(topic, 0, time + 1000, null, empty),
                new ProducerRecord<>(topic, 0, time + 2000, empty, (byte[]) null),
                new ProducerRecord<>(topic, 0, time + 3000, large_key, large));
            time += 4000;
            records.get(0).headers().add("first", new byte[] {0, (byte) 0xff})
                .add("again", name).add("again", empty).add("null", null);
            try (KafkaProducer<byte[], byte[]> producer = producer(codec)) {
                List<Future<RecordMetadata>> sent = records.stream().map(producer::send).toList();
                producer.flush();
                for (Future<RecordMetadata> one : sent) {
                    offsets.add(get(one).offset());
                }
            }
        }
        return Map.of("offsets", offsets);
    }

    private static List<ConsumerRecord<byte[], byte[]>> take(
        KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, int count
    ) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (records.size() < count && System.nanoTime() < deadline) {
            records.addAll(consumer.poll(Duration.ofMillis(100)).records(partition));
        }
        return records;
    }

    private static String hexed(byte[] bytes) {
        return bytes == null ? null : HexFormat.of().formatHex(bytes);
    }

    private static Map<String, Object> shown(ConsumerRecord<byte[], byte[]> record) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("offset", record.offset());
        shown.put("time", record.timestamp());
        shown.put("is_create_time", record.timestampType() == TimestampType.CREATE_TIME);
        shown.put("key", hexed(record.key()));
        CRC32 crc = new CRC32();
        if (record.value() != null) {
            crc.update(record.value());
        }
        shown.put("size", record.value() == null ? null : record.value().length);
        shown.put("crc", record.value() == null ? null : crc.getValue());
        List<List<String>> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            List<String> pair = new ArrayList<>();
            pair.add(header.key());
            pair.add(hexed(header.value()));
            headers.add(pair);
        }
        shown.put("headers", headers);
        return shown;
    }

    private Map<String, Object> read(String topic) throws Exception {
        TopicPartition first = new TopicPartition(topic, 0);
        Map<String, Object> result = new LinkedHashMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_uncommitted")) {
            consumer.assign(List.of(first));
            consumer.seekToBeginning(List.of(first));
            long beginning = consumer.beginningOffsets(List.of(first)).get(first);
            long end = consumer.endOffsets(List.of(first)).get(first);
            int count = (int) end;
            List<ConsumerRecord<byte[], byte[]>> records = take(consumer, first, count);
            result.put("records", records.stream().map(Matrix::shown).toList());

            Map<String, Long> times = new HashMap<>();
            times.put("before all", offsetOfTime(consumer, first, 1));
            times.put("exactly", offsetOfTime(consumer, first, FIRST_TIME_MS + 1000));
            times.put("between", offsetOfTime(consumer, first, FIRST_TIME_MS + 1500));
            times.put("compressed", offsetOfTime(consumer, first, FIRST_TIME_MS + 9500));
            times.put("after all", offsetOfTime(consumer, first, FIRST_TIME_MS + 1_000_000));
            result.put("times", times);

            Map<String, Object> seeks = new HashMap<>();
            consumer.seek(first, 7);
            seeks.put("7", take(consumer, first, 1).get(0).offset());
            consumer.seekToBeginning(List.of(first));
            seeks.put("beginning", take(consumer, first, 1).get(0).offset());
            consumer.seekToEnd(List.of(first));
            boolean isAtEnd = consumer.position(first) == end
                && consumer.poll(Duration.ofMillis(200)).isEmpty();
            seeks.put("end", isAtEnd ? null : consumer.position(first));
            consumer.seek(first, end - 1);
            seeks.put("last", take(consumer, first, 1).get(0).offset());
            consumer.seek(first, times.get("between"));
            seeks.put("time", take(consumer, first, 1).get(0).offset());
            result.put("seeks", seeks);

            result.put("ends", List.of(beginning, end));
            result.put("past_end", codeOf(() -> {
                consumer.seek(first, end + 100);
                take(consumer, first, 1);
            }));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_committed")) {
            consumer.assign(List.of(first));
            consumer.seekToBeginning(List.of(first));
            long end = consumer.endOffsets(List.of(first)).get(first);
            result.put("committed", take(consumer, first, (int) end).size());
        }
        try (KafkaConsumer<byte[], byte[]> waiting = consumer("read_uncommitted")) {
            // One that waits at the end gets what comes next.
            TopicPartition second = new TopicPartition(topic, 1);
            waiting.assign(List.of(second));
            waiting.seekToEnd(List.of(second));
            waiting.position(second);
            long sent = send(new ProducerRecord<>(
                topic, 1, null, "next".getBytes(StandardCharsets.UTF_8)));
            ConsumerRecord<byte[], byte[]> next = take(waiting, second, 1).get(0);
            String text = new String(next.value(), StandardCharsets.UTF_8);
            result.put("next", List.of(next.offset() == sent, text));
        }
        try (Admin admin = admin()) {
            ListOffsetsResultInfo latestTime = listed(admin, first, OffsetSpec.maxTimestamp());
            result.put("admin", List.of(
                listed(admin, first, OffsetSpec.earliest()).offset(),
                listed(admin, first, OffsetSpec.latest()).offset(),
                latestTime.offset(),
                latestTime.timestamp(),
                listed(admin, first, OffsetSpec.forTimestamp(FIRST_TIME_MS + 1500)).offset()));
        }
        return result;
    }

    private static ListOffsetsResultInfo listed(
        Admin admin, TopicPartition partition, OffsetSpec spec
    ) throws Exception {
        return get(admin.listOffsets(Map.of(partition, spec)).partitionResult(partition));
    }

    private static Long offsetOfTime(
        KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, long time
    ) {
        OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, time)).get(partition);
        return found == null ? null : found.offset();
    }

    /** Important users have the first partition, the others share the rest. */
    public static final class UserPartitioner implements Partitioner {
        @Override
        public void configure(Map<String, ?> configs) {}

        @Override
        public int partition(
            String topic, Object key, byte[] keyBytes, Object value, byte[] valueBytes, Cluster cluster
        ) {
            if (new String(keyBytes, StandardCharsets.UTF_8).startsWith("vip-")) {
                return 0;
            }
            int sum = 0;
            for (byte one : keyBytes) {
                sum += one;
            }
            return 1 + sum % (cluster.partitionCountForTopic(topic) - 1);
        }

        @Override
        public void close() {}
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, String key, int number) {
        byte[] keyBytes = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
        byte[] value = String.valueOf(number).getBytes(StandardCharsets.UTF_8);
        return new ProducerRecord<>(topic, keyBytes, value);
    }

    private int sendAll(
        Map<String, String> properties, List<ProducerRecord<byte[], byte[]>> records
    ) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(properties)) {
            List<Future<RecordMetadata>> sent = records.stream().map(producer::send).toList();
            producer.flush();
            for (Future<RecordMetadata> one : sent) {
                get(one);
            }
            return sent.size();
        }
    }

    private Map<String, Object> place() throws Exception {
        List<ProducerRecord<byte[], byte[]>> custom = new ArrayList<>();
        for (int number = 0; number < OF_EACH_USER; number++) {
            for (String user : USERS) {
                custom.add(record("custom", user, number));
            }
        }
        List<ProducerRecord<byte[], byte[]>> roundRobin = new ArrayList<>();
        for (int number = 0; number < ROUND_ROBIN_COUNT; number++) {
            roundRobin.add(record("round-robin", null, number));
        }
        List<ProducerRecord<byte[], byte[]>> keyed = new ArrayList<>();
        for (int number = 0; number < OF_EACH_KEY; number++) {
            for (int key = 0; key < KEYS; key++) {
                keyed.add(record("keyed", "key-" + key, number));
            }
        }
        int acknowledged =
            sendAll(Map.of("partitioner.class", UserPartitioner.class.getName()), custom)
            + sendAll(Map.of("partitioner.class", RoundRobinPartitioner.class.getName()), roundRobin)
            + sendAll(Map.of(), keyed);
        return Map.of("acknowledged", acknowledged);
    }

    private Map<String, Object> load(String topic, int partitions) throws Exception {
        Map<String, String> properties = Map.of(
            "linger.ms", "1",
            "batch.size", "1000",
            "reconnect.backoff.ms", "10",
            "reconnect.backoff.max.ms", "50",
            "retry.backoff.ms", "10",
            "retry.backoff.max.ms", "50");
        AtomicInteger acknowledged = new AtomicInteger();
        AtomicInteger misplaced = new AtomicInteger();
        List<String> errors = Collections.synchronizedList(new ArrayList<>());
        Semaphore outstanding = new Semaphore(OUTSTANDING_MAX);
        AtomicBoolean isOver = new AtomicBoolean();
        Thread listener = new Thread(() -> {
            try {
                System.in.readAllBytes();
            } catch (IOException failure) {
                errors.add(failure.toString());
            }
            isOver.set(true);
        });
        listener.start();
        int sent = 0;
        try (KafkaProducer<byte[], byte[]> producer = producer(properties)) {
            for (int number = 0; !isOver.get(); number++) {
                byte[] value = String.valueOf(number).getBytes(StandardCharsets.UTF_8);
                long expected = number;
                for (int partition = 0; partition < partitions; partition++) {
                    outstanding.acquire();
                    sent++;
                    producer.send(new ProducerRecord<>(topic, partition, null, value), (place, failure) -> {
                        outstanding.release();
                        if (failure != null) {
                            errors.add(failure.toString());
                            return;
                        }
                        if (place.offset() != expected) {
                            misplaced.incrementAndGet();
                        }
                        int count = acknowledged.incrementAndGet();
                        if (count % 1000 == 0) {
                            System.out.println(count);
                        }
                    });
                }
            }
            producer.flush();
        }
        return Map.of(
            "unsettled", sent - acknowledged.get() - errors.size(),
            "misplaced", misplaced.get(),
            "errors", errors,
            "sent", sent);
    }

    private Map<String, Object> transact() throws Exception {
        Properties properties = properties();
        properties.put("transactional.id", "one");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
            properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            return Map.of("error", codeOf(producer::initTransactions));
        }
    }
}
