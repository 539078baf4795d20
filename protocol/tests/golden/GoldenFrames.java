import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

/**
 * Writes every request and response that a client can meet, in every released version, with Kafka's own classes.
 *
 * The fields of a version are those of the class's own schema, and are set by reflection. Two releases are needed,
 * since 4.0 dropped versions that 3.9 has; the second run leaves out what the first one wrote:
 *
 *   cargo xtask oracle fetch
 *   cd protocol/tests/golden
 *   java -cp '../../../target/oracle/4.3.1/*' GoldenFrames.java > frames-4.3.1.txt
 *   java -cp '../../../target/oracle/3.9.1/*' GoldenFrames.java frames-4.3.1.txt > frames-3.9.1.txt
 *
 * A line is "key version kind value hex", where kind is request, response, request_header or response_header, and
 * value is full (something in every field), null (null wherever it is allowed, nothing in arrays) or default (what
 * the class starts with), and a body without bytes is "-". Numbers and texts are made of the names of their fields, so the same field has the same
 * value in every version; a body that is the one of the version before is one line with "first..last".
 */
public class GoldenFrames {
    /** What only brokers and controllers say to each other. */
    private static final Set<Integer> BETWEEN_BROKERS =
        Set.of(4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 83, 84, 85, 86, 87);

    private static final Set<String> written = new HashSet<>();

    private enum Kind { FULL, NULL, DEFAULT }

    public static void main(String[] arguments) throws Exception {
        for (String file : arguments)
            for (String line : Files.readAllLines(Path.of(file)))
                noteWritten(line);
        for (ApiMessageType api : ApiMessageType.values()) {
            if (BETWEEN_BROKERS.contains((int) api.apiKey()))
                continue;
            writeHeaders(api);
            for (Kind kind : Kind.values()) {
                writeBodies(api, kind, "request");
                writeBodies(api, kind, "response");
            }
        }
    }

    private static void noteWritten(String line) {
        String[] words = line.split(" ");
        String[] range = words[1].split("\\.\\.");
        for (int version = Integer.parseInt(range[0]); version <= Integer.parseInt(range[range.length - 1]); version++)
            written.add(words[0] + " " + version);
    }

    private static boolean isWanted(ApiMessageType api, short version) {
        return !written.contains(api.apiKey() + " " + version);
    }

    private static void writeHeaders(ApiMessageType api) {
        for (short version = api.lowestSupportedVersion(); version <= api.highestSupportedVersion(false); version++) {
            if (!isWanted(api, version))
                continue;
            RequestHeaderData request = new RequestHeaderData()
                .setRequestApiKey(api.apiKey())
                .setRequestApiVersion(version)
                .setCorrelationId(0x01020304)
                .setClientId("me");
            String place = api.apiKey() + " " + version + " ";
            System.out.println(place + "request_header full " + hex(request, api.requestHeaderVersion(version)));
            ResponseHeaderData response = new ResponseHeaderData().setCorrelationId(0x01020304);
            System.out.println(place + "response_header full " + hex(response, api.responseHeaderVersion(version)));
        }
    }

    private static void writeBodies(ApiMessageType api, Kind kind, String direction) throws Exception {
        String last = null;
        int first = 0;
        int end = api.highestSupportedVersion(false) + 1;
        for (int version = api.lowestSupportedVersion(); version <= end; version++) {
            String hex = null;
            if (version < end && isWanted(api, (short) version)) {
                ApiMessage message = direction.equals("request") ? api.newRequest() : api.newResponse();
                if (kind != Kind.DEFAULT)
                    fill(message, version, kind, 2);
                hex = hex(message, (short) version);
            }
            if (last != null && !last.equals(hex)) {
                String versions = first == version - 1 ? "" + first : first + ".." + (version - 1);
                String value = kind.name().toLowerCase();
                System.out.println(api.apiKey() + " " + versions + " " + direction + " " + value + " " + last);
            }
            if (hex != null && !hex.equals(last))
                first = version;
            last = hex;
        }
    }

    private static String hex(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining())
            throw new IllegalStateException(message + " is shorter than it said");
        return buffer.capacity() == 0 ? "-" : HexFormat.of().formatHex(buffer.array());
    }

    private static void fill(Object message, int version, Kind kind, int items) throws Exception {
        Schema schema = ((Schema[]) message.getClass().getField("SCHEMAS").get(null))[version];
        Map<String, Field> fields = new HashMap<>();
        for (Field field : message.getClass().getDeclaredFields())
            if (!Modifier.isStatic(field.getModifiers()))
                fields.put(snakeCase(field.getName()), field);
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (org.apache.kafka.common.protocol.types.Field def : fieldsOf(tagged))
                    set(message, fields.get(def.name), def, version, kind, items);
            } else {
                set(message, fields.get(bound.def.name), bound.def, version, kind, items);
            }
        }
    }

    /** The accessor came after 3.9. */
    @SuppressWarnings("unchecked")
    private static Collection<org.apache.kafka.common.protocol.types.Field> fieldsOf(TaggedFields tagged)
        throws Exception {
        Field fields = TaggedFields.class.getDeclaredField("fields");
        fields.setAccessible(true);
        return ((Map<Integer, org.apache.kafka.common.protocol.types.Field>) fields.get(tagged)).values();
    }

    private static void set(
        Object message, Field field, org.apache.kafka.common.protocol.types.Field def, int version, Kind kind, int items
    ) throws Exception {
        field.setAccessible(true);
        Object value = kind == Kind.NULL && def.type.isNullable()
            ? null
            : value(field, field.getType(), def, version, kind, items);
        field.set(message, value);
    }

    private static Object value(
        Field field, Class<?> type, org.apache.kafka.common.protocol.types.Field def, int version, Kind kind, int items
    ) throws Exception {
        boolean isNull = kind == Kind.NULL;
        int seed = isNull ? 0 : def.name.hashCode();
        String text = isNull ? "" : def.name.substring(0, Math.min(4, def.name.length())) + "\u00e9";
        if (type == boolean.class)
            return !isNull;
        if (type == byte.class)
            return (byte) seed;
        if (type == short.class)
            return (short) seed;
        // An unsigned 16-bit number is an int in Java.
        if (type == int.class)
            return def.type == Type.UINT16 ? seed & 0xffff : seed;
        // And one of 32 bits is a long.
        if (type == long.class)
            return def.type == Type.UNSIGNED_INT32 ? seed & 0xffffffffL : 0x100000001L * seed;
        if (type == double.class)
            return seed / 3.0;
        if (type == String.class)
            return text;
        if (type == Uuid.class)
            return new Uuid(isNull ? 0 : 0x1122334455667788L, seed);
        if (type == byte[].class)
            return text.getBytes(StandardCharsets.UTF_8);
        if (type == ByteBuffer.class)
            return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
        if (type.getSimpleName().equals("BaseRecords"))
            return records(text);
        if (Collection.class.isAssignableFrom(type))
            return collection(field, type, def, version, kind, items);
        Object struct = construct(type);
        fill(struct, version, kind, items);
        return struct;
    }

    @SuppressWarnings("unchecked")
    private static Object collection(
        Field field, Class<?> type, org.apache.kafka.common.protocol.types.Field def, int version, Kind kind, int items
    ) throws Exception {
        boolean isList = type == List.class;
        ParameterizedType generic =
            (ParameterizedType) (isList ? field.getGenericType() : type.getGenericSuperclass());
        Collection<Object> collection = isList ? new ArrayList<>() : (Collection<Object>) construct(type);
        if (kind == Kind.NULL)
            return collection;
        java.lang.reflect.Type element = generic.getActualTypeArguments()[0];
        for (int item = 0; item < items; item++) {
            // Only lists of lists of numbers are nested in Kafka's messages without a struct between them.
            if (element instanceof ParameterizedType)
                collection.add(new ArrayList<>(List.of(item, 7)));
            else
                collection.add(value(field, unboxed((Class<?>) element), def, version, kind, 1));
        }
        return collection;
    }

    private static Class<?> unboxed(Class<?> type) {
        if (type == Byte.class)
            return byte.class;
        if (type == Short.class)
            return short.class;
        if (type == Integer.class)
            return int.class;
        if (type == Long.class)
            return long.class;
        return type;
    }

    private static Object construct(Class<?> type) throws Exception {
        return type.getDeclaredConstructor().newInstance();
    }

    /** Bytes as records; their class moved between the two releases. */
    private static Object records(String text) throws Exception {
        Class<?> records;
        try {
            records = Class.forName("org.apache.kafka.common.record.MemoryRecords");
        } catch (ClassNotFoundException moved) {
            records = Class.forName("org.apache.kafka.common.record.internal.MemoryRecords");
        }
        ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
        return records.getMethod("readableRecords", ByteBuffer.class).invoke(null, bytes);
    }

    /** Fields are called so in schemas. */
    private static String snakeCase(String name) {
        StringBuilder snake = new StringBuilder();
        for (char letter : name.toCharArray()) {
            if (Character.isUpperCase(letter) && snake.length() > 0)
                snake.append('_');
            snake.append(Character.toLowerCase(letter));
        }
        return snake.toString();
    }
}
