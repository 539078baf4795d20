import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Appends numbered lines to a file until it is told to stop. */
final class Lines implements AutoCloseable {
    private static final int LINES_A_TURN = 20;
    private static final long PAUSE_MS = 20;

    private final Path file;
    private final Thread thread = new Thread(this::write, "lines");
    private volatile boolean stopping;
    private volatile Throwable trouble;
    private long written;

    Lines(Path file) {
        this.file = file;
        thread.setDaemon(true);
        thread.start();
    }

    static String line(long number) {
        return "line " + number + " of a file";
    }

    private void write() {
        try (BufferedWriter out = Files.newBufferedWriter(file)) {
            while (!stopping) {
                for (int line = 0; line < LINES_A_TURN; line++) {
                    out.write(line(written) + "\n");
                    written++;
                }
                out.flush();
                Thread.sleep(PAUSE_MS);
            }
        } catch (IOException | InterruptedException thrown) {
            trouble = thrown;
        }
    }

    /** Stops writing; answers how many lines there are. */
    long stop() throws InterruptedException {
        stopping = true;
        thread.join();
        if (trouble != null) {
            throw new AssertionError("lines were not written", trouble);
        }
        return written;
    }

    /** One line more, after the end. */
    void more() throws IOException {
        Files.write(file, (line(written) + "\n").getBytes(), StandardOpenOption.APPEND);
        written++;
    }

    @Override
    public void close() {
        stopping = true;
    }
}
