import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.function.Consumer;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Time;

/**
 * Writes message sets of the formats before record batches with Kafka's own classes, and what those classes make of
 * record batches for old consumers.
 *
 * Run with the libraries of Kafka 3.9, the last that has them:  java -cp 'kafka/libs/*' GoldenMessages.java > messages.txt
 */
public class GoldenMessages {
    private static final HexFormat HEX = HexFormat.of();
    private static final CompressionType[] CODECS =
        {CompressionType.NONE, CompressionType.GZIP, CompressionType.SNAPPY, CompressionType.LZ4};

    public static void main(String[] arguments) {
        for (byte magic = 0; magic < 2; magic++)
            for (CompressionType codec : CODECS)
                set("v" + magic + "_" + codec.name, magic, codec, TimestampType.CREATE_TIME);
        set("v1_none_log_append_time", (byte) 1, CompressionType.NONE, TimestampType.LOG_APPEND_TIME);
        set("v1_gzip_log_append_time", (byte) 1, CompressionType.GZIP, TimestampType.LOG_APPEND_TIME);
        for (byte magic = 0; magic < 2; magic++) {
            for (CompressionType codec : CODECS) {
                String name = "v" + magic + "_" + codec.name;
                down(name, magic, 1236, codec, TimestampType.CREATE_TIME, GoldenMessages::appendMixed);
                down(name + "_gaps", magic, 1234, codec, TimestampType.CREATE_TIME, GoldenMessages::appendGaps);
                down(name + "_stamped", magic, 1234, codec, TimestampType.LOG_APPEND_TIME, GoldenMessages::appendMixed);
            }
        }
    }

    private static MemoryRecords build(byte magic, CompressionType codec, TimestampType type,
                                       Consumer<MemoryRecordsBuilder> append) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(4096), magic,
            Compression.of(codec).build(), type, 1234L, 1_700_000_123_456L);
        append.accept(builder);
        return builder.build();
    }

    private static void appendMixed(MemoryRecordsBuilder builder) {
        boolean headers = builder.magic() == RecordBatch.MAGIC_VALUE_V2;
        Header[] some = {new RecordHeader("trace", bytes("abc"))};
        builder.append(1_700_000_000_000L, bytes("key"), bytes("value"));
        builder.append(1_699_999_999_000L, null, bytes(""), headers ? some : Record.EMPTY_HEADERS);
        builder.append(1_700_086_400_000L, bytes(""), null);
        builder.append(0L, (byte[]) null, null);
        builder.append(1_700_000_000_001L, bytes("long"), bytes("many words that are alike ".repeat(8)));
    }

    private static void appendGaps(MemoryRecordsBuilder builder) {
        builder.appendWithOffset(1236L, 7L, bytes("a"), bytes("b"));
        builder.appendWithOffset(1240L, 5L, bytes("c"), bytes("d"));
    }

    private static void set(String name, byte magic, CompressionType codec, TimestampType type) {
        System.out.println("set " + name);
        print(build(magic, codec, type, GoldenMessages::appendMixed));
    }

    private static void down(String name, byte magic, long first, CompressionType codec, TimestampType type,
                             Consumer<MemoryRecordsBuilder> append) {
        MemoryRecords batch = build(RecordBatch.MAGIC_VALUE_V2, codec, type, append);
        System.out.println("down " + name);
        System.out.println("from " + magic + " " + first + " " + hex(batch));
        print((MemoryRecords) batch.downConvert(magic, first, Time.SYSTEM).records());
    }

    private static void print(MemoryRecords set) {
        for (Record record : set.records())
            System.out.println("record " + record.offset() + " " + record.timestamp() + " "
                + text(record.key()) + " " + text(record.value()));
        System.out.println("bytes " + hex(set));
        System.out.println();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String hex(MemoryRecords records) {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return HEX.formatHex(bytes);
    }

    private static String text(ByteBuffer buffer) {
        if (buffer == null) return "null";
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return "\"" + HEX.formatHex(bytes) + "\"";
    }
}
