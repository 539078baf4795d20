import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * {@code KilledWorker HOST:PORT SCRATCH}: a distributed worker copies a growing file into a topic, exactly once, and the topic
 * into another file. It is killed in its transactions, and looked whether each line is in the topic once, in its place.
 */
public final class KilledWorker {
    /** Lines between two disasters. */
    private static final long QUIET_LINES = 500;
    /** A transaction may end between the look and the kill; hardly so often. */
    private static final int KILLS_MAX = 10;

    private final String topic;
    private final Path source;
    private final Path sink;
    private final Rest rest;
    private final Program worker;
    private final Committed<String> committed;
    private final List<String> wrong = new ArrayList<>();
    private long next;

    private KilledWorker(String broker, Path scratch) throws Exception {
        String name = String.format("connect-%08x", ThreadLocalRandom.current().nextInt());
        int port = freePort();
        topic = name + "-lines";
        source = scratch.resolve("source.txt");
        sink = scratch.resolve("sink.txt");
        rest = new Rest(port);
        Path properties = scratch.resolve("worker.properties");
        Files.write(properties, settings(broker, name, port));
        File log = scratch.resolve("worker.log").toFile();
        worker = new Program(log, "org.apache.kafka.connect.cli.ConnectDistributed", properties.toString());
        worker.start();
        Topics.create(broker, 1, topic);
        committed = new Committed<>(broker, topic, new StringDeserializer(), this::take);
    }

    public static void main(String[] args) throws Exception {
        Path scratch = new File(args[1]).toPath();
        KilledWorker test = new KilledWorker(args[0], scratch);
        try (Lines lines = new Lines(test.source)) {
            test.disasters();
            test.finish(lines, lines.stop());
        } catch (Throwable thrown) {
            thrown.printStackTrace(System.out);
            System.exit(1);
        }
        System.exit(0);
    }

    private void disasters() throws Exception {
        Watch.until("the source is taken", () -> rest.put("source", sourceConfig()));
        Watch.until("the sink is taken", () -> rest.put("sink", sinkConfig()));
        flows("started");
        dies("killed in a transaction");
        flows("started again");
        Watch.until("a transaction is open", committed::hasOpenTransaction);
        Watch.restartBroker();
        committed.mark();
        flows("the broker was killed and came back");
        dies("killed in a transaction");
        flows("started again");
    }

    private void flows(String what) throws Exception {
        Watch.until("what was open before is decided", () -> {
            worker.checkAlive();
            return committed.poll() >= 0 && committed.isPastMark();
        });
        long wanted = committed.poll() + QUIET_LINES;
        Watch.until(what, () -> {
            worker.checkAlive();
            return committed.poll() >= wanted;
        });
        check();
        Watch.say(what + ", " + committed.poll() + " lines");
    }

    /** Dies, leaving a transaction that nobody ended, and is started again. */
    private void dies(String what) throws Exception {
        for (int kill = 0; kill < KILLS_MAX; kill++) {
            Watch.until("a transaction is open", committed::hasOpenTransaction);
            worker.kill();
            committed.mark();
            boolean isLeftOpen = committed.hasOpenTransaction();
            worker.start();
            if (isLeftOpen) {
                Watch.say(what);
                return;
            }
            flows("killed between two transactions, and started again");
        }
        throw new AssertionError("no kill came within a transaction");
    }

    private void finish(Lines source, long lines) throws Exception {
        // A transaction whose time is over is committed with the next line, and not before.
        Watch.until("every line is in the topic", () -> {
            if (committed.poll() < lines) {
                Thread.sleep(500);
                source.more();
            }
            return committed.poll() >= lines;
        });
        Watch.until("source and sink run", () -> rest.runs("source") && rest.runs("sink"));
        Watch.until("every line is in the sink", () -> hasSunk(Lines.line(lines - 1)));
        worker.stop();
        Watch.until("the end", () -> committed.poll() >= lines && committed.isAtEnd());
        check();
        long aborted = committed.aborted();
        if (aborted <= 0) {
            throw new AssertionError(lines + " lines, " + committed.poll() + " in the topic, " + aborted + " aborted");
        }
        check();
        int twice = sunkTwice(lines);
        Watch.say(lines + " lines in the topic once, " + aborted + " aborted; " + twice + " in the sink again");
    }

    private void take(ConsumerRecord<String, String> record) {
        if (!record.value().equals(Lines.line(next))) {
            wrong.add("\"" + record.value() + "\" at " + record.offset() + " where line " + next + " should be");
        }
        next++;
    }

    private void check() {
        if (!wrong.isEmpty()) {
            throw new AssertionError(wrong.size() + " lines out of place, the first: " + wrong.subList(0, Math.min(5, wrong.size())));
        }
    }

    private boolean hasSunk(String line) throws IOException {
        if (!Files.exists(sink)) {
            return false;
        }
        return Files.readAllLines(sink).contains(line);
    }

    /** A sink gets what it had not committed again, but leaves nothing out: answers how many lines came again. */
    private int sunkTwice(long lines) throws IOException {
        long expected = 0;
        int again = 0;
        for (String line : Files.readAllLines(sink)) {
            if (line.equals(Lines.line(expected))) {
                expected++;
            } else {
                again++;
            }
        }
        if (expected < lines) {
            throw new AssertionError("line " + expected + " did not come to the sink");
        }
        return again;
    }

    private String sourceConfig() {
        return json("connector.class=org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max=1", "file=" + source,
            "topic=" + topic, "batch.size=50", "exactly.once.support=required", "transaction.boundary=interval",
            "transaction.boundary.interval.ms=300");
    }

    private String sinkConfig() {
        return json("connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max=1", "file=" + sink,
            "topics=" + topic, "consumer.override.isolation.level=read_committed", "consumer.override.auto.offset.reset=earliest",
            "consumer.override.session.timeout.ms=2000", "consumer.override.heartbeat.interval.ms=300");
    }

    private static String json(String... pairs) {
        List<String> fields = new ArrayList<>();
        for (String pair : pairs) {
            fields.add("\"" + pair.replaceFirst("=", "\":\"") + "\"");
        }
        return "{" + String.join(",", fields) + "}";
    }

    private static List<String> settings(String broker, String name, int port) {
        List<String> settings = new ArrayList<>(List.of("bootstrap.servers=" + broker, "group.id=" + name,
            "listeners=http://127.0.0.1:" + port, "rest.advertised.host.name=127.0.0.1", "exactly.once.source.support=enabled",
            "key.converter=org.apache.kafka.connect.storage.StringConverter", "plugin.discovery=service_load",
            "value.converter=org.apache.kafka.connect.storage.StringConverter", "offset.flush.interval.ms=1000",
            "status.storage.partitions=1", "offset.storage.partitions=1"));
        for (String kind : List.of("config", "offset", "status")) {
            settings.add(kind + ".storage.topic=" + name + "-" + kind);
            settings.add(kind + ".storage.replication.factor=1");
        }
        // One that was killed is missed within seconds.
        settings.addAll(List.of("session.timeout.ms=2000", "heartbeat.interval.ms=300", "scheduled.rebalance.max.delay.ms=0"));
        return settings;
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
