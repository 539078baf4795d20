import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;

/** Keeps every warning and error that the client logs; a test fails on one that it did not announce. */
public final class ClientLog extends Handler {
    /** What the client says of itself, with any broker. */
    private static final String[] ITS_OWN = {
        "isn't a known config", // also: "supplied but isn't a known config"
        "were supplied but are not used yet",
        "Error registering AppInfo mbean", // several clients of one name in one JVM
        "is deprecated",
        "Using a SimpleAuthorizer",
    };

    private static ClientLog installed;
    private final List<String> found = new ArrayList<>();
    private final List<String> expected = new ArrayList<>();

    static ClientLog install() {
        installed = new ClientLog();
        Logger root = Logger.getLogger("");
        for (Handler handler : root.getHandlers()) {
            root.removeHandler(handler);
        }
        root.addHandler(installed);
        return installed;
    }

    /** Lines with this in them are provoked by the test. */
    static void expect(String part) {
        synchronized (installed) {
            installed.expected.add(part);
        }
    }

    synchronized void begin() {
        found.clear();
        expected.clear();
    }

    synchronized Throwable trouble() {
        for (String line : found) {
            boolean known = expected.stream().anyMatch(line::contains);
            for (String part : ITS_OWN) {
                known |= line.contains(part);
            }
            if (!known) {
                return new AssertionError("the client logged: " + line);
            }
        }
        return null;
    }

    @Override
    public synchronized void publish(LogRecord record) {
        if (record.getLevel().intValue() >= Level.WARNING.intValue()) {
            String why = record.getThrown() == null ? "" : " | " + record.getThrown();
            found.add(record.getLevel() + " " + record.getLoggerName() + ": " + new SimpleFormatter().formatMessage(record) + why);
        }
    }

    @Override
    public void flush() {
    }

    @Override
    public void close() {
    }
}
