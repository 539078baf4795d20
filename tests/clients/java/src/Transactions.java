import java.lang.reflect.Method;
import java.util.Collections;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;

/** Calls whose signatures differ between 2.0 and 4.x, reached by name. */
final class Transactions {
    static void sendOffsets(KafkaProducer<?, ?> producer, Map<TopicPartition, OffsetAndMetadata> offsets, String group,
                            KafkaConsumer<?, ?> consumer) {
        Object metadata = Broker.isOld() ? group : Broker.either(consumer, "groupMetadata");
        for (Method method : KafkaProducer.class.getMethods()) {
            if (method.getName().equals("sendOffsetsToTransaction") && method.getParameterTypes()[1].isInstance(metadata)) {
                call(method, producer, offsets, metadata);
                return;
            }
        }
        throw new AssertionError("no sendOffsetsToTransaction");
    }

    @SuppressWarnings("unchecked")
    static OffsetAndMetadata committed(KafkaConsumer<?, ?> consumer, TopicPartition partition) {
        try {
            Method many = KafkaConsumer.class.getMethod("committed", java.util.Set.class);
            return ((Map<TopicPartition, OffsetAndMetadata>) call(many, consumer, Collections.singleton(partition))).get(partition);
        } catch (NoSuchMethodException old) {
            try {
                return (OffsetAndMetadata) call(KafkaConsumer.class.getMethod("committed", TopicPartition.class), consumer, partition);
            } catch (NoSuchMethodException never) {
                throw new AssertionError(never);
            }
        }
    }

    private static Object call(Method method, Object on, Object... arguments) {
        try {
            return method.invoke(on, arguments);
        } catch (java.lang.reflect.InvocationTargetException failed) {
            if (failed.getCause() instanceof RuntimeException) {
                throw (RuntimeException) failed.getCause();
            }
            throw new AssertionError(failed.getCause());
        } catch (IllegalAccessException never) {
            throw new AssertionError(never);
        }
    }

    private Transactions() {
    }
}
