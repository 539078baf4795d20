import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/** The worker's REST interface, on loopback. */
final class Rest {
    private final HttpClient client = HttpClient.newHttpClient();
    private final String address;

    Rest(int port) {
        address = "http://127.0.0.1:" + port;
    }

    /** Whether the worker took the connector; one that is still looking for its group does not. */
    boolean put(String connector, String config) throws Exception {
        return send(request("/connectors/" + connector + "/config").header("Content-Type", "application/json")
            .PUT(HttpRequest.BodyPublishers.ofString(config))) != null;
    }

    /** Whether the connector and its one task run. */
    boolean runs(String connector) throws Exception {
        String status = send(request("/connectors/" + connector + "/status").GET());
        if (status != null && status.contains("\"FAILED\"")) {
            throw new AssertionError(status);
        }
        return status != null && status.split("\"RUNNING\"", -1).length == 3;
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(address + path)).timeout(Duration.ofSeconds(20));
    }

    /** The answer's body; null where the worker cannot tell yet. */
    private String send(HttpRequest.Builder request) throws Exception {
        HttpResponse<String> answer;
        try {
            answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        } catch (IOException notYet) {
            return null;
        }
        int status = answer.statusCode();
        if (status == 404 || status == 409 || status >= 500) {
            return null;
        }
        if (status >= 300) {
            throw new AssertionError(status + " " + answer.body());
        }
        return answer.body();
    }
}
