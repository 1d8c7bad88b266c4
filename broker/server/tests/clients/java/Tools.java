import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs main classes of Kafka's tools, one after the other, in one virtual machine: a line of standard
 * input is a class and its arguments, separated by tabs. Prints what each has printed, every line
 * behind "| ", and then how it has ended.
 */
public class Tools {
    /** Instead of the end of the process. */
    private static final class Ended extends RuntimeException {
        private static final long serialVersionUID = 1;
        Ended() {
            super("it has ended", null, false, false);
        }
    }

    /** What tools print goes wherever it has to go at the moment. */
    private static final class Switch extends OutputStream {
        OutputStream target = OutputStream.nullOutputStream();

        @Override
        public synchronized void write(int one) {
            write(new byte[] {(byte) one}, 0, 1);
        }

        @Override
        public synchronized void write(byte[] bytes, int from, int count) {
            try {
                target.write(bytes, from, count);
            } catch (java.io.IOException impossible) {
                throw new IllegalStateException(impossible);
            }
        }
    }

    /** How the tool wanted to end first; negative if it has not. */
    private static int first;

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        Switch printed = new Switch();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(printed, true, StandardCharsets.UTF_8));
        Exit.Procedure ended = (status, message) -> {
            // Some tools take it for an error of theirs, print it, and end once more.
            System.out.flush();
            printed.target = OutputStream.nullOutputStream();
            first = first < 0 ? status : first;
            throw new Ended();
        };
        Exit.setExitProcedure(ended);
        Exit.setHaltProcedure(ended);
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            var buffer = new ByteArrayOutputStream();
            printed.target = buffer;
            first = -1;
            int status = run(words[0], Arrays.copyOfRange(words, 1, words.length));
            System.out.flush();
            printed.target = OutputStream.nullOutputStream();
            buffer.toString(StandardCharsets.UTF_8).lines().forEach(it -> out.println("| " + it));
            out.println("status " + status);
            out.flush();
        }
    }

    private static int run(String name, String[] arguments) throws Exception {
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof Ended) {
                return first;
            }
            System.out.println(thrown.getCause());
            return -1;
        }
    }
}
