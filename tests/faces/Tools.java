import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's tools, many command lines in one JVM: starting one for each would take most of the test's time.
 *
 * A line of standard input is a command, in hexadecimal: the class name, standard input, and each argument, with blanks
 * between them. The answer is a line: exit code, standard output and standard error in hexadecimal.
 */
public class Tools {
    private static class Exited extends RuntimeException {
        final int code;
        final String out = hex(Tools.out);
        final String err = hex(Tools.err);

        Exited(int code) {
            super(null, null, false, false);
            this.code = code;
        }
    }

    private static ByteArrayOutputStream out;
    private static ByteArrayOutputStream err;
    private static Exited exited;

    /** The first exit counts: a process would be gone, and a tool that catches everything cannot say more. */
    private static void exit(int code) {
        if (exited == null)
            exited = new Exited(code);
        throw exited;
    }

    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.split(" ", -1);
            for (int i = 0; i < words.length; i++)
                words[i] = new String(HexFormat.of().parseHex(words[i]), StandardCharsets.UTF_8);
            out = new ByteArrayOutputStream();
            err = new ByteArrayOutputStream();
            exited = null;
            System.setOut(new PrintStream(out, true));
            System.setErr(new PrintStream(err, true));
            System.setIn(new ByteArrayInputStream(words[1].getBytes(StandardCharsets.UTF_8)));
            int code = run(words[0], java.util.Arrays.copyOfRange(words, 2, words.length));
            if (exited == null)
                exited = new Exited(code);
            answers.println(exited.code + " " + exited.out + " " + exited.err);
            answers.flush();
        }
    }

    private static int run(String tool, String[] args) throws Exception {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) args);
            return 0;
        } catch (InvocationTargetException thrown) {
            if (exited == null)
                thrown.getCause().printStackTrace();
            return 1;
        }
    }

    private static String hex(ByteArrayOutputStream bytes) {
        return HexFormat.of().formatHex(bytes.toByteArray());
    }
}
