import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Scanner;
import java.util.function.Consumer;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecords.RecordFilter.BatchRetention;
import org.apache.kafka.common.record.internal.MemoryRecords.RecordFilter.BatchRetentionResult;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.Crc32C;

/**
 * Writes record batches with Kafka's own classes, together with what those classes read back from them.
 *
 * Run with the libraries of a Kafka release:  java -cp 'kafka/libs/*' GoldenBatches.java > batches.txt
 * With the argument "read", it instead describes batches given in hex on standard input, one a line.
 */
public class GoldenBatches {
    private static final byte V2 = RecordBatch.MAGIC_VALUE_V2;
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] arguments) {
        if (arguments.length == 1 && arguments[0].equals("read")) {
            Scanner lines = new Scanner(System.in);
            while (lines.hasNextLine())
                describe("given", MemoryRecords.readableRecords(ByteBuffer.wrap(HEX.parseHex(lines.nextLine().trim()))));
            return;
        }
        for (CompressionType type : CompressionType.values()) {
            Compression codec = Compression.of(type).build();
            write("mixed_" + type.name, builder(codec, TimestampType.CREATE_TIME, -1L, -1L, (short) -1, -1, false),
                GoldenBatches::appendMixed);
            // Uncompressed it would only make the file large.
            if (type != CompressionType.NONE)
                write("large_" + type.name, builder(codec, TimestampType.CREATE_TIME, -1L, -1L, (short) -1, -1, false),
                    GoldenBatches::appendLarge);
            write("noise_" + type.name, builder(codec, TimestampType.CREATE_TIME, -1L, -1L, (short) -1, -1, false),
                builder -> builder.append(5L, bytes("noise"), noise(2000)));
            write("log_append_time_" + type.name,
                builder(codec, TimestampType.LOG_APPEND_TIME, 1_700_000_123_456L, -1L, (short) -1, -1, false),
                GoldenBatches::appendMixed);
        }
        Compression none = Compression.NONE;
        write("idempotent", builder(none, TimestampType.CREATE_TIME, -1L, 4000L, (short) 3, 10, false),
            GoldenBatches::appendMixed);
        write("sequence_wraps",
            builder(none, TimestampType.CREATE_TIME, -1L, 4000L, (short) 32767, Integer.MAX_VALUE - 1, false),
            GoldenBatches::appendMixed);
        write("transactional", builder(none, TimestampType.CREATE_TIME, -1L, 4001L, (short) 0, 0, true),
            GoldenBatches::appendMixed);
        write("transactional_zstd",
            builder(Compression.of(CompressionType.ZSTD).build(), TimestampType.CREATE_TIME, -1L, 4001L, (short) 0, 0, true),
            GoldenBatches::appendMixed);
        write("no_timestamps", builder(none, TimestampType.CREATE_TIME, -1L, -1L, (short) -1, -1, false), builder -> {
            builder.append(RecordBatch.NO_TIMESTAMP, null, bytes("a"));
            builder.append(RecordBatch.NO_TIMESTAMP, null, bytes("b"));
        });
        describe("commit", MemoryRecords.withEndTransactionMarker(77L, 1_700_000_000_000L, 5, 4001L, (short) 2,
            new EndTransactionMarker(ControlRecordType.COMMIT, 9)));
        describe("abort", MemoryRecords.withEndTransactionMarker(78L, 1_700_000_000_001L, 6, 4001L, (short) 3,
            new EndTransactionMarker(ControlRecordType.ABORT, 10)));
        describe("leader_change", MemoryRecords.withLeaderChangeMessage(90L, 1_700_000_000_002L, 11,
            ByteBuffer.allocate(256), new LeaderChangeMessage().setVersion((short) 0).setLeaderId(1)));
        writeCompacted();
    }

    private static MemoryRecordsBuilder builder(Compression codec, TimestampType timestampType, long logAppendTime,
                                                long producerId, short epoch, int sequence, boolean transactional) {
        return MemoryRecords.builder(ByteBuffer.allocate(1 << 20), V2, codec, timestampType, 1234L, logAppendTime,
            producerId, epoch, sequence, transactional, 7);
    }

    private static void appendMixed(MemoryRecordsBuilder builder) {
        builder.appendWithOffset(1234L, 1_700_000_000_000L, bytes("key"), bytes("value"), new Header[0]);
        builder.appendWithOffset(1235L, 1_699_999_999_000L, null, bytes(""), new Header[] {
            new RecordHeader("trace", bytes("abc")), new RecordHeader("trace", null), new RecordHeader("", bytes("")),
            new RecordHeader("größe", new byte[] {0, -1, 127}),
        });
        builder.appendWithOffset(1236L, 1_700_086_400_000L, bytes(""), null, new Header[0]);
        builder.appendWithOffset(1237L, 0L, (byte[]) null, null, new Header[] {new RecordHeader("only", bytes("header"))});
    }

    /** Enough for several blocks of every codec. */
    private static void appendLarge(MemoryRecordsBuilder builder) {
        for (int i = 0; i < 150; i++)
            builder.append(1_700_000_000_000L + i * 1000L, bytes("key-" + i), bytes(("record " + i + " ").repeat(100)));
    }

    private static void writeCompacted() {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1 << 20), V2, Compression.NONE,
            TimestampType.CREATE_TIME, 500L, -1L, 4002L, (short) 1, 40, false, 8);
        builder.append(1_700_000_000_100L, bytes("a"), bytes("dropped"));
        builder.append(1_700_000_000_200L, bytes("b"), null);
        builder.append(1_700_000_000_300L, bytes("c"), bytes("dropped"));
        builder.append(1_700_000_000_400L, bytes("d"), bytes("kept"));
        builder.append(1_700_000_000_500L, bytes("e"), bytes("dropped"));
        MemoryRecords before = builder.build();
        describe("before_compaction", before);
        describe("compacted_to_b_and_d", filter(before, List.of("b", "d")));
        describe("compacted_to_d", filter(before, List.of("d")));
        describe("compacted_to_nothing", filter(before, List.of()));
    }

    private static MemoryRecords filter(MemoryRecords records, List<String> retained) {
        MemoryRecords.RecordFilter filter = new MemoryRecords.RecordFilter(1_700_000_001_000L, 86_400_000L) {
            @Override
            protected BatchRetentionResult checkBatchRetention(RecordBatch batch) {
                return new BatchRetentionResult(BatchRetention.RETAIN_EMPTY, false);
            }

            @Override
            protected boolean shouldRetainRecord(RecordBatch batch, Record record) {
                return retained.contains(StandardCharsets.UTF_8.decode(record.key()).toString());
            }
        };
        ByteBuffer output = ByteBuffer.allocate(1 << 16);
        records.filterTo(filter, output, BufferSupplier.NO_CACHING);
        output.flip();
        return MemoryRecords.readableRecords(output);
    }

    private static void write(String name, MemoryRecordsBuilder builder, Consumer<MemoryRecordsBuilder> append) {
        append.accept(builder);
        describe(name, builder.build());
    }

    private static void describe(String name, MemoryRecords records) {
        for (RecordBatch batch : records.batches()) {
            batch.ensureValid();
            System.out.println("batch " + name);
            System.out.println("header"
                + " base_offset=" + batch.baseOffset() + " last_offset=" + batch.lastOffset()
                + " leader_epoch=" + batch.partitionLeaderEpoch() + " codec=" + batch.compressionType().name
                + " timestamp_type=" + batch.timestampType().name + " transactional=" + batch.isTransactional()
                + " control=" + batch.isControlBatch() + " delete_horizon=" + batch.deleteHorizonMs().orElse(-1L)
                + " base_timestamp=" + ((DefaultRecordBatch) batch).baseTimestamp()
                + " max_timestamp=" + batch.maxTimestamp() + " producer_id=" + batch.producerId()
                + " producer_epoch=" + batch.producerEpoch() + " base_sequence=" + batch.baseSequence()
                + " last_sequence=" + batch.lastSequence() + " records=" + batch.countOrNull()
                + " size=" + batch.sizeInBytes() + " crc=" + batch.checksum());
            for (Record record : batch)
                System.out.println("record " + record.offset() + " " + record.timestamp() + " " + text(record.key())
                    + " " + text(record.value()) + headers(record.headers()));
            ByteBuffer bytes = ByteBuffer.allocate(batch.sizeInBytes());
            batch.writeTo(bytes);
            String hex = HEX.formatHex(bytes.array());
            for (int i = 0; i < hex.length(); i += 120)
                System.out.println("bytes " + hex.substring(i, Math.min(i + 120, hex.length())));
            System.out.println();
        }
    }

    private static String headers(Header[] headers) {
        List<String> texts = new ArrayList<>();
        for (Header header : headers)
            texts.add(" " + text(ByteBuffer.wrap(bytes(header.key()))) + "="
                + text(header.value() == null ? null : ByteBuffer.wrap(header.value())));
        return String.join("", texts);
    }

    /** "null", or hex between quotes, or for long bytes their length and CRC-32C. */
    private static String text(ByteBuffer buffer) {
        if (buffer == null)
            return "null";
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        if (bytes.length > 64)
            return bytes.length + ":" + Crc32C.compute(bytes, 0, bytes.length);
        return "\"" + HEX.formatHex(bytes) + "\"";
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** What no codec makes smaller, and the same on every run. */
    private static byte[] noise(int length) {
        byte[] noise = new byte[length];
        long state = 42;
        for (int i = 0; i < length; i++) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            noise[i] = (byte) (state >>> 56);
        }
        return noise;
    }
}
