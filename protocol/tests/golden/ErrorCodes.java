import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.Errors;

/**
 * Writes every error code with its name, and whether Kafka's clients send the request again:
 *
 *   java -cp '../../../target/oracle/4.3.1/*' ErrorCodes.java > error-codes-4.3.1.txt
 */
public class ErrorCodes {
    public static void main(String[] args) {
        for (Errors error : Errors.values()) {
            boolean retriable = error.exception() instanceof RetriableException;
            System.out.println(error.code() + " " + error.name() + " " + (retriable ? "retriable" : "fatal"));
        }
    }
}
