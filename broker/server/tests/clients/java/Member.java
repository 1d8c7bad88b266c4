import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A member of a group, through Kafka's own client: ../python/member.py describes it. */
public final class Member implements ConsumerRebalanceListener {
    private final KafkaConsumer<String, String> consumer;
    private final boolean commitsEach;

    private Member(KafkaConsumer<String, String> consumer, boolean commitsEach) {
        this.consumer = consumer;
        this.commitsEach = commitsEach;
    }

    public static void main(String[] arguments) {
        AtomicBoolean isOver = Events.termination();
        Properties properties =
            properties(arguments[0], arguments[1], arguments[3], arguments[4], arguments[5]);
        try (var consumer = new KafkaConsumer<String, String>(properties)) {
            Member member = new Member(consumer, arguments[5].equals("each"));
            consumer.subscribe(List.of(arguments[2]), member);
            while (!isOver.get()) {
                consumer.poll(Duration.ofMillis(100)).forEach(member::process);
            }
        }
        Events.tell("closed", Map.of());
    }

    private static Properties properties(
            String bootstrap, String group, String instance, String protocol, String commit) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("group.id", group);
        properties.put("key.deserializer", StringDeserializer.class);
        properties.put("value.deserializer", StringDeserializer.class);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", commit.equals("auto"));
        properties.put("auto.commit.interval.ms", 500);
        properties.put("fetch.max.wait.ms", 100);
        if (!instance.equals("-")) {
            properties.put("group.instance.id", instance);
        }
        if (protocol.equals("consumer")) {
            // How long members may be silent is the broker's setting then.
            properties.put("group.protocol", "consumer");
        } else {
            properties.put("session.timeout.ms", 6000);
            properties.put("heartbeat.interval.ms", 500);
            properties.put("partition.assignment.strategy", switch (protocol) {
                case "range" -> RangeAssignor.class.getName();
                case "cooperative-sticky" -> CooperativeStickyAssignor.class.getName();
                default -> throw new IllegalArgumentException(protocol);
            });
        }
        return properties;
    }

    private void tell(String event, Collection<TopicPartition> partitions) {
        Events.tell(event, Map.of(
            "partitions", partitions.stream().map(TopicPartition::partition).sorted().toList(),
            "generation", consumer.groupMetadata().generationId()));
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        tell("assigned", partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        tell("revoked", partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        tell("lost", partitions);
    }

    private void process(ConsumerRecord<String, String> record) {
        Events.tell("record", Map.of("partition", record.partition(), "offset", record.offset()));
        if (!commitsEach) {
            return;
        }
        try {
            TopicPartition partition = new TopicPartition(record.topic(), record.partition());
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(record.offset() + 1)));
        } catch (CommitFailedException | RetriableException failure) {
            // The group is between two generations; whoever is assigned the partition repeats this.
            Events.tell("commit_failed", Map.of("error", failure.getClass().getSimpleName()));
        }
    }
}
