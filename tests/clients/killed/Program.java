import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A Java program in a process of its own, which ends with this one at the latest. */
final class Program implements AutoCloseable {
    private final List<String> command = new ArrayList<>();
    private final File log;
    private Process process;

    /** @param arguments the class, and what it is given; options of the JVM may stand before it */
    Program(File log, String... arguments) {
        this.log = log;
        String java = System.getProperty("java.home") + "/bin/java";
        command.addAll(Arrays.asList(java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true"));
        command.addAll(Arrays.asList("-cp", System.getProperty("java.class.path")));
        command.addAll(Arrays.asList(arguments));
        Runtime.getRuntime().addShutdownHook(new Thread(this::close));
    }

    void start() throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        process = builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log)).start();
    }

    /** SIGKILL. */
    void kill() throws InterruptedException {
        checkAlive();
        process.destroyForcibly().waitFor();
    }

    /** SIGTERM, and the status. */
    int stop() throws InterruptedException {
        checkAlive();
        process.destroy();
        if (!process.waitFor(60, TimeUnit.SECONDS)) {
            throw new AssertionError("did not end, see " + log);
        }
        return process.exitValue();
    }

    void checkAlive() {
        if (!process.isAlive()) {
            throw new AssertionError("ended by itself with status " + process.exitValue() + ", see " + log);
        }
    }

    @Override
    public void close() {
        if (process != null) {
            process.destroyForcibly();
        }
    }
}
