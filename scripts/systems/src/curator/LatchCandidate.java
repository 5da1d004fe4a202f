import java.io.InputStream;
import java.util.Properties;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.retry.RetryForever;

/**
 * A candidate of Apache Curator's LeaderLatch that says aloud what it believes.
 *
 * <p>It is used as most services use the latch: it asks {@code hasLeadership()} and listens, and it
 * does nothing by itself to be safer than that. Each line on stdout is one belief, flushed at once:
 *
 * <pre>leader 81234567890123    or    follower 81234567890123</pre>
 *
 * The number is System.nanoTime(), which on Linux is CLOCK_MONOTONIC in nanoseconds, so lines of
 * several candidates on one machine can be compared. A line is written at every change, and with
 * REPEAT_MS also every so often: after a pause, a repeated line proves that it *still* claims.
 */
public final class LatchCandidate {
    private static Boolean last; // what was said last; null before the first word

    private static synchronized void say(boolean leader, boolean evenIfUnchanged) {
        if (!evenIfUnchanged && last != null && last == leader) return;
        last = leader;
        System.out.println((leader ? "leader " : "follower ") + System.nanoTime());
        System.out.flush();
        if (System.out.checkError()) Runtime.getRuntime().halt(1); // nobody reads: do not live on unseen
    }

    private static String version() throws Exception {
        String at = "/META-INF/maven/org.apache.curator/curator-recipes/pom.properties";
        try (InputStream in = LeaderLatch.class.getResourceAsStream(at)) {
            Properties p = new Properties();
            p.load(in);
            return p.getProperty("version");
        }
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 1 && args[0].equals("--version")) {
            System.out.println("curator-recipes " + version());
            return;
        }
        if (args.length < 4 || args.length > 6) {
            System.err.println("usage: curator-latch HOST:PORT,... /PATH ID SESSION_MS [CONNECTION_MS [REPEAT_MS]]");
            System.exit(254);
        }
        int sessionMs = Integer.parseInt(args[3]);
        int connectionMs = args.length > 4 ? Integer.parseInt(args[4]) : sessionMs;
        long repeatMs = args.length > 5 ? Long.parseLong(args[5]) : 0;

        CuratorFramework client = CuratorFrameworkFactory.newClient(
                args[0], sessionMs, connectionMs, new RetryForever(100));
        client.start();
        LeaderLatch latch = new LeaderLatch(client, args[1], args[2]);
        latch.addListener(new LeaderLatchListener() {
            @Override public void isLeader() { say(true, false); }
            @Override public void notLeader() { say(false, false); }
        });
        say(false, false);
        latch.start();
        while (repeatMs > 0) {
            Thread.sleep(repeatMs);
            say(latch.hasLeadership(), true);
        }
        Thread.currentThread().join(); // until a signal ends the process
    }
}
