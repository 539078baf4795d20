import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;

/**
 * {@code KilledWordCount HOST:PORT SCRATCH [SEED]}: kills a word count again and again while lines come in, and looks whether
 * each word is counted exactly once.
 */
public final class KilledWordCount {
    private static final int PARTITIONS = 4;
    /** Updates between two disasters. */
    private static final long QUIET_UPDATES = 1000;
    /** A transaction may end between the look and the kill; hardly so often. */
    private static final int KILLS_MAX = 10;

    private final String broker;
    private final Path state;
    private final Program program;
    private final Counts counts;

    private KilledWordCount(String broker, Path scratch, String lines, String words, String application) {
        this.broker = broker;
        state = scratch.resolve("state");
        File log = scratch.resolve("wordcount.log").toFile();
        program = new Program(log, "WordCount", broker, application, state.toString(), lines, words);
        counts = new Counts(broker, words);
    }

    public static void main(String[] args) throws Exception {
        long seed = args.length > 2 ? Long.parseLong(args[2]) : ThreadLocalRandom.current().nextLong(1000000);
        System.out.println("seed " + seed);
        String lines = "lines-" + seed, words = "counts-" + seed;
        Topics.create(args[0], PARTITIONS, lines, words);
        KilledWordCount test = new KilledWordCount(args[0], new File(args[1]).toPath(), lines, words, "wordcount-" + seed);
        try (Lines written = new Lines(args[0], lines, seed)) {
            test.disasters();
            test.finish(written.stop(), words);
        } catch (Throwable thrown) {
            thrown.printStackTrace(System.out);
            System.exit(1);
        }
        System.exit(0);
    }

    private void disasters() throws Exception {
        program.start();
        flows("started");
        dies("killed in a transaction");
        program.start();
        flows("started again");
        dies("killed in a transaction, and its state is lost");
        remove(state);
        program.start();
        flows("started with nothing");
        Watch.until("a transaction is open", counts.topic::hasOpenTransaction);
        Watch.restartBroker();
        counts.topic.mark();
        flows("the broker was killed and came back");
        dies("killed in a transaction");
        program.start();
    }

    /** The program works: many words more were counted. */
    private void flows(String what) throws Exception {
        Watch.until("what was open before is decided", () -> {
            program.checkAlive();
            return counts.topic.poll() >= 0 && counts.topic.isPastMark();
        });
        long wanted = counts.topic.poll() + QUIET_UPDATES;
        Watch.until(what, () -> {
            program.checkAlive();
            return counts.topic.poll() >= wanted;
        });
        counts.check();
        Watch.say(what + ", " + counts.topic.poll() + " updates");
    }

    /** Dead, and a transaction is left that nobody ended. */
    private void dies(String what) throws Exception {
        for (int kill = 0; kill < KILLS_MAX; kill++) {
            Watch.until("a transaction is open", counts.topic::hasOpenTransaction);
            program.kill();
            counts.topic.mark();
            if (counts.topic.hasOpenTransaction()) {
                Watch.say(what);
                return;
            }
            program.start();
            flows("killed between two transactions, and started again");
        }
        throw new AssertionError("no kill came within a transaction");
    }

    private void finish(Map<String, Long> written, String topic) throws Exception {
        long words = written.values().stream().mapToLong(Long::longValue).sum();
        Watch.until("every word is counted", () -> counts.topic.poll() >= words && counts.topic.isAtEnd());
        int status = program.stop();
        if (status != 143) {
            throw new AssertionError("the program ended with status " + status);
        }
        // Who reads it all at once must see the same as who was there when it was written.
        try (Counts again = new Counts(broker, topic)) {
            Watch.until("the end", () -> counts.topic.poll() + again.topic.poll() >= 0 && again.topic.isAtEnd());
            counts.check();
            again.check();
            long aborted = again.topic.aborted();
            if (!again.words.equals(written) || !counts.words.equals(written) || aborted <= 0) {
                throw new AssertionError(aborted + " aborted; written " + written + ", counted " + again.words + ", before " + counts.words);
            }
            Watch.say(words + " words counted once, and " + aborted + " updates aborted");
        }
    }

    private static void remove(Path directory) throws IOException {
        try (Stream<Path> below = Files.walk(directory)) {
            below.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
        }
    }
}
