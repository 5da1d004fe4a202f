import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/**
 * One OpenSearch node from the jars of the server and its network layer. The distribution is not on
 * Maven Central, so this stands in for its launcher: it reads opensearch.yml and starts the node.
 *
 * <p>It differs from the distribution in what lies outside coordination: no security manager, no system
 * call filter, no bootstrap checks, no module but the network (no scripting, no extra analyzers). Election,
 * cluster state, replication and storage are the server's own.
 */
public final class OpenSearchNode extends Node {
    private OpenSearchNode(Environment environment) {
        super(environment, List.of(Netty4Plugin.class), true);
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 1 && args[0].equals("--version")) {
            System.out.println("opensearch " + Version.CURRENT);
            return;
        }
        if (args.length != 1 || !Files.isRegularFile(Path.of(args[0], "opensearch.yml"))) {
            System.err.println("usage: opensearch-node DIRECTORY    (DIRECTORY/opensearch.yml must exist; path.data is\n"
                    + "DIRECTORY/data unless that file says otherwise)");
            System.exit(254);
        }
        Path home = Path.of(args[0]).toAbsolutePath();
        Settings settings = Settings.builder().put("path.home", home).build();
        Environment environment =
                InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), home, () -> "unnamed");
        OpenSearchNode node = new OpenSearchNode(environment);
        node.start();
        System.out.println("started");
        new CountDownLatch(1).await(); // its threads do the work until a signal ends the process
    }
}
