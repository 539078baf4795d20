import java.io.IOException;
import java.util.concurrent.TimeUnit;

/** Waits for things to happen, tells when they did, and has the broker killed by whoever started this program. */
final class Watch {
    private static final long PATIENCE_MS = 120000;
    private static final long BEGAN = System.nanoTime();

    interface Condition {
        boolean holds() throws Exception;
    }

    static void until(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE_MS);
        while (!condition.holds()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within " + PATIENCE_MS + " ms: " + what);
            }
            Thread.sleep(5);
        }
    }

    static void say(String what) {
        System.out.printf("%5.1f s  %s%n", (System.nanoTime() - BEGAN) / 1e9, what);
    }

    /** SIGKILL; answers when it serves again. */
    static void restartBroker() throws IOException {
        System.out.println("RESTART BROKER");
        if (System.in.read() != '\n') {
            throw new AssertionError("nobody restarted the broker");
        }
    }

    private Watch() {
    }
}
