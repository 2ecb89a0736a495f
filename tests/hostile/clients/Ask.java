import java.net.URI;
import java.net.http.*;
import java.nio.file.*;

/**
 * java Ask HTTP_2|HTTP_1_1 (METHOD URL KEY FILE)...: a line for each case, the statuses of three
 * requests on one client. FILE is empty where there is no body.
 */
class Ask {
    public static void main(String[] args) throws Exception {
        for (int i = 1; i < args.length; i += 4) {
            HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.valueOf(args[0])).build();
            for (int n = 0; n < 3; n++) {
                HttpRequest request = HttpRequest.newBuilder(URI.create(args[i + 1]))
                    .header("X-API-Key", args[i + 2]).header("Content-Type", "image/jpeg")
                    .method(args[i], args[i + 3].isEmpty()
                        ? HttpRequest.BodyPublishers.noBody()
                        : HttpRequest.BodyPublishers.ofFile(Path.of(args[i + 3])))
                    .build();
                System.out.print(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode() + " ");
            }
            System.out.println();
        }
    }
}
