import java.io.IOException;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Runs every test of every class, one after another: {@code Suite HOST:PORT RELEASE KNOWN-FAILURES [PART OF A NAME]}. */
public final class Suite {
    /** A test: a public method without arguments on a class with a public constructor without arguments. */
    @Retention(RetentionPolicy.RUNTIME)
    @Target(ElementType.METHOD)
    public @interface Test {
    }

    /** Classes of tests; the last need more than a 2.0 client has, or the newest. */
    private static final String[] CLASSES = {"Produce", "Consume", "Groups", "Admin", "NewerAdmin", "NewerGroups", "ConsumerProtocol"};

    public static void main(String[] args) throws Exception {
        Broker.address = args[0];
        Broker.release = args[1];
        String wanted = args.length > 3 ? args[3] : "";
        Map<String, String> known = knownFailures(args[2]);
        ClientLog log = ClientLog.install();
        int passed = 0;
        int failed = 0;
        int skipped = 0;
        for (Method test : tests(wanted)) {
            String name = test.getDeclaringClass().getSimpleName() + "." + test.getName();
            if (known.containsKey(name)) {
                System.out.printf("skip %s (%s)%n", name, known.get(name));
                skipped++;
                continue;
            }
            long began = System.nanoTime();
            Throwable trouble = run(test, log);
            System.out.printf("%s %s (%d ms)%n", trouble == null ? "ok  " : "FAIL", name, (System.nanoTime() - began) / 1000000);
            if (trouble == null) {
                passed++;
            } else {
                failed++;
                print(trouble);
            }
        }
        System.out.printf("DONE passed=%d failed=%d skipped=%d%n", passed, failed, skipped);
        System.exit(failed == 0 ? 0 : 1);
    }

    /** Tests that our broker does not pass yet, a line each: the name, a space, the reason. */
    private static Map<String, String> knownFailures(String file) throws IOException {
        Map<String, String> reasons = new HashMap<>();
        for (String line : Files.readAllLines(Paths.get(file))) {
            reasons.put(line.substring(0, line.indexOf(' ')), line.substring(line.indexOf(' ') + 1));
        }
        return reasons;
    }

    private static List<Method> tests(String wanted) {
        List<Method> found = new ArrayList<>();
        for (String name : CLASSES) {
            try {
                Method[] methods = Class.forName(name).getMethods();
                Arrays.sort(methods, Comparator.comparing(Method::getName));
                for (Method method : methods) {
                    if (method.isAnnotationPresent(Test.class) && (name + "." + method.getName()).contains(wanted)) {
                        found.add(method);
                    }
                }
            } catch (ClassNotFoundException tooNew) {
                // Not compiled for this release.
            }
        }
        return found;
    }

    private static Throwable run(Method test, ClientLog log) {
        log.begin();
        try {
            Object instance = test.getDeclaringClass().getConstructor().newInstance();
            test.invoke(instance);
            return log.trouble();
        } catch (InvocationTargetException thrown) {
            return thrown.getCause();
        } catch (ReflectiveOperationException thrown) {
            return thrown;
        }
    }

    private static void print(Throwable trouble) {
        int frames = 0;
        System.out.println("     " + trouble);
        for (StackTraceElement frame : trouble.getStackTrace()) {
            if (!frame.getClassName().contains(".") && frames++ < 4) {
                System.out.println("       at " + frame);
            }
        }
        if (trouble.getCause() != null && trouble.getCause() != trouble) {
            System.out.println("     caused by " + trouble.getCause());
        }
    }

    private Suite() {
    }
}
