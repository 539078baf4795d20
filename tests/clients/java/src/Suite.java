import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** Runs every test of every class, one after another: {@code Suite HOST:PORT RELEASE [PART OF A NAME]}. */
public final class Suite {
    /** A test: a public method without arguments on a class with a public constructor without arguments. */
    @Retention(RetentionPolicy.RUNTIME)
    @Target(ElementType.METHOD)
    public @interface Test {
    }

    /** Classes of tests; the last need more than a 2.0 client has. */
    private static final String[] CLASSES = {"Produce", "Consume", "Groups", "Admin", "NewerAdmin", "NewerGroups"};

    public static void main(String[] args) throws Exception {
        Broker.address = args[0];
        Broker.release = args[1];
        String wanted = args.length > 2 ? args[2] : "";
        ClientLog log = ClientLog.install();
        int passed = 0;
        int failed = 0;
        for (Method test : tests(wanted)) {
            String name = test.getDeclaringClass().getSimpleName() + "." + test.getName();
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
        System.out.printf("DONE passed=%d failed=%d%n", passed, failed);
        System.exit(failed == 0 ? 0 : 1);
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
