import java.net.URI;
import java.net.http.*;
import java.nio.file.*;

/** java Ask HTTP_2|HTTP_1_1 METHOD URL KEY [FILE]: the status, three times on one client. */
class Ask {
    public static void main(String[] args) throws Exception {
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.valueOf(args[0])).build();
        for (int i = 0; i < 3; i++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(args[2]))
                .header("X-API-Key", args[3]).header("Content-Type", "image/jpeg")
                .method(args[1], args.length > 4
                    ? HttpRequest.BodyPublishers.ofFile(Path.of(args[4]))
                    : HttpRequest.BodyPublishers.noBody())
                .build();
            System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
        }
    }
}
