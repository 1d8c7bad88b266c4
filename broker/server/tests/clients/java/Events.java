import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/** What members of groups have in common: they tell what happens, a line each, until SIGTERM. */
final class Events {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Events() {}

    static void tell(String event, Map<String, Object> more) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("event", event);
        line.put("at", ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()));
        line.putAll(more);
        try {
            System.out.println(JSON.writeValueAsString(line));
        } catch (JsonProcessingException failure) {
            throw new IllegalStateException(failure);
        }
    }

    /** Becomes true with SIGTERM. The thread that asks for it is waited for. */
    static AtomicBoolean termination() {
        AtomicBoolean isOver = new AtomicBoolean();
        // The virtual machine ends when this hook does, and not as killed but as done.
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            isOver.set(true);
            try {
                main.join();
            } catch (InterruptedException failure) {
                Runtime.getRuntime().halt(1);
            }
            Runtime.getRuntime().halt(0);
        }));
        return isOver;
    }
}
