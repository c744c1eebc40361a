import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.core.StandardContext;
import org.apache.catalina.startup.Tomcat;
import org.eclipse.jetty.http.HttpCompliance;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.AbstractHandler;

/**
 * Answers each request with the places that a web application in Java may take its path for, one a line: Tomcat at the first five ports of the
 * command line, each with another way to read escaped slashes, and Jetty at the last two, as it is and as it was before it refused ambiguous paths.
 */
public class Servlets {
  public static void main(String[] ports) throws Exception {
    var dir = Files.createTempDirectory("servlets").toFile();
    dir.deleteOnExit();
    var tomcat = new Tomcat();
    tomcat.setBaseDir(dir.getPath());
    String[] handling = {"reject", "decode", "passthrough", "decode", "passthrough"};
    for (int i = 0; i < handling.length; i++) {
      var connector = new Connector();
      connector.setProperty("address", "127.0.0.1");
      connector.setPort(Integer.parseInt(ports[i]));
      connector.setEncodedSolidusHandling(handling[i]);
      if (i > 2) {
        connector.setAllowBackslash(true);
        connector.setEncodedReverseSolidusHandling(handling[i]);
      }
      tomcat.getService().addConnector(connector);
    }
    var context = (StandardContext) tomcat.addContext("", dir.getPath());
    context.setIgnoreAnnotations(true); // their classes are in a package of their own
    Tomcat.addServlet(context, "places", new HttpServlet() {
      @Override
      protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        var info = request.getPathInfo();
        response.setCharacterEncoding("UTF-8");
        response.getWriter().print(String.join("\n", places(request.getServletPath() + (info == null ? "" : info), request.getRequestURI())));
      }
    });
    context.addServletMappingDecoded("/", "places");
    context.addServletMappingDecoded("/admin/*", "places");
    tomcat.start();

    var jetty = new Server();
    HttpCompliance[] compliance = {HttpCompliance.RFC7230, HttpCompliance.RFC7230_LEGACY};
    for (int i = 0; i < compliance.length; i++) {
      var connector = new ServerConnector(jetty, new HttpConnectionFactory(new HttpConfiguration(), compliance[i]));
      connector.setHost("127.0.0.1");
      connector.setPort(Integer.parseInt(ports[handling.length + i]));
      jetty.addConnector(connector);
    }
    jetty.setHandler(new AbstractHandler() {
      @Override
      public void handle(
          String target, Request base, javax.servlet.http.HttpServletRequest request, javax.servlet.http.HttpServletResponse response)
          throws IOException {
        base.setHandled(true);
        response.setCharacterEncoding("UTF-8");
        response.getWriter().print(String.join("\n", places(target, request.getRequestURI())));
      }
    });
    jetty.start();
    jetty.join();
  }

  /** What the server says, and what libraries make of the raw path, which they read by themselves. */
  static List<String> places(String path, String raw) {
    var list = new ArrayList<>(List.of(path, raw));
    var decoded = URLDecoder.decode(raw.replaceAll(";[^/]*", "").replace("+", "%2B"), StandardCharsets.UTF_8);
    list.add(decoded.replaceAll("/+", "/")); // Spring's UrlPathHelper
    try {
      list.add(URI.create(raw).normalize().getPath());
    } catch (IllegalArgumentException e) {
      // no URI to this library
    }
    list.removeIf(place -> place == null || place.contains("\n"));
    return list;
  }
}
