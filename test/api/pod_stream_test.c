/* Which container a stream of a pod goes to, and what is refused before the node is asked. The node
 * is made up: its log is the name of the container. */
#include <stdlib.h>

#include "base/mem.h"
#include "client/node_api.h"
#include "test/kit/api_kit.h"

#define PODS "/api/v1/namespaces/default/pods"
#define MERGE "Content-Type: application/merge-patch+json\r\n"

struct fake_node;
struct node_session {
    struct env *env;
    struct fake_node *node;
    const struct node_session_handler *handler;
    void *data;
    char text[64];
    struct env_timer timer;
};

struct fake_node {
    struct node_api api;
    struct api_kit k;
    int asked, aborted;
};

static void on_timer(struct env_timer *timer)
{
    struct node_session *s = CONTAINER_OF(timer, struct node_session, timer);
    s->handler->on_output(s->data, 1, span_cstr(s->text));
    s->handler->on_end(s->data, 0, NULL);
    free(s);
}

static struct node_session *node_logs(struct node_api *n, const struct node_log_request *q,
                                      const struct node_session_handler *handler, void *data)
{
    struct fake_node *node = CONTAINER_OF(n, struct fake_node, api);
    struct node_session *s = MEM_NEW(struct node_session);
    node->asked++;
    s->env = node->k.env;
    s->node = node;
    s->handler = handler;
    s->data = data;
    (void)snprintf(s->text, sizeof s->text, "%.*s/%.*s/%.*s", SPAN_ARG(q->ns), SPAN_ARG(q->pod),
                   SPAN_ARG(q->container));
    if (!q->follow) {
        env_timer_start(s->env, &s->timer, 1, on_timer);
    }
    return s;
}

static size_t node_queued(const struct node_session *s)
{
    (void)s;
    return 0;
}

static void node_nothing(struct node_session *s)
{
    (void)s;
}

static void node_pause(struct node_session *s, bool paused)
{
    (void)s;
    (void)paused;
}

static void node_abort(struct node_session *s)
{
    env_timer_stop(s->env, &s->timer);
    s->node->aborted++;
    free(s);
}

static const struct node_api_ops node_ops = {.logs = node_logs,
                                             .queued = node_queued,
                                             .close_stdin = node_nothing,
                                             .pause = node_pause,
                                             .abort = node_abort};

/* A pod on a node, with these annotations and this status; kit and node are started. */
static void start(struct fake_node *n, const char *annotations, const char *status)
{
    char body[1024];
    n->api.ops = &node_ops;
    api_kit_start(&n->k, &n->api);
    (void)snprintf(
        body, sizeof body,
        "{\"metadata\":{\"name\":\"p\",\"annotations\":%s},\"spec\":{\"initContainers\":[{"
        "\"name\":\"i\",\"image\":\"x\"}],\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{"
        "\"name\":\"b\",\"image\":\"x\"}]}}",
        annotations);
    (void)api_expect(&n->k, 201, "POST", PODS, "", body);
    if (status) {
        (void)api_expect(&n->k, 201, "POST", PODS "/p/binding", "",
                         "{\"metadata\":{\"name\":\"p\"},\"target\":{\"name\":\"edge\"}}");
        (void)api_expect(&n->k, 200, "PATCH", PODS "/p/status", MERGE, status);
    }
}

#define RUNNING                                                                                    \
    "{\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\",\"ready\":true,"    \
    "\"restartCount\":0,\"image\":\"x\",\"imageID\":\"x\",\"state\":{\"running\":{\"startedAt\":"  \
    "\"2026-01-01T00:00:00Z\"}}},{\"name\":\"b\",\"ready\":false,\"restartCount\":0,\"image\":"    \
    "\"x\",\"imageID\":\"\",\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}]}}"

/* Receptor sends it without a value until it has read a first line. */
TEST(an_empty_since_time_is_none)
{
    struct fake_node n = {0};
    start(&n, "{}", RUNNING);
    struct api_reply r =
        api_expect(&n.k, 200, "GET", PODS "/p/log?container=a&sinceTime=", "", NULL);
    CHECK_SPAN(r.body, "default/p/a");
    (void)api_expect(&n.k, 400, "GET", PODS "/p/log?container=a&sinceTime=yesterday", "", NULL);
    api_kit_stop(&n.k);
}

TEST(of_several_containers_one_must_be_named)
{
    struct fake_node n = {0};
    start(&n, "{\"kubectl.kubernetes.io/default-container\":\"b\"}", RUNNING);
    static const char *const paths[] = {"/p/log", "/p/exec?command=ls&stdout=1",
                                        "/p/attach?stdout=1"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, PODS "%s", paths[i]);
        struct api_reply r = api_expect(&n.k, 400, "GET", path, "", NULL);
        CHECK_SPAN(api_str(&r, "message"),
                   "a container name must be specified for pod p, choose one of: [a b] or one of "
                   "the init containers: [i]");
    }
    CHECK_EQ(n.asked, 0);
    struct api_reply r = api_expect(&n.k, 200, "GET", PODS "/p/log?container=a", "", NULL);
    CHECK_SPAN(r.body, "default/p/a");
    r = api_expect(&n.k, 400, "GET", PODS "/p/log?container=b", "", NULL);
    CHECK_SPAN(
        api_str(&r, "message"),
        "container \"b\" in pod \"p\" is waiting to start: trying and failing to pull image");
    api_kit_stop(&n.k);
}

TEST(options_of_logs_are_refused_in_kubernetes_words)
{
    static const struct {
        int status;
        const char *query, *message;
    } cases[] = {
        {422, "tailLines=-1",
         "PodLogOptions \"p\" is invalid: tailLines: Invalid value: -1: must be greater than or "
         "equal to 0"},
        {422, "limitBytes=0",
         "PodLogOptions \"p\" is invalid: limitBytes: Invalid value: 0: must be greater than 0"},
        {422, "sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z",
         "PodLogOptions \"p\" is invalid: : Forbidden: at most one of `sinceTime` or "
         "`sinceSeconds` may be specified"},
        {400, "tailLines=x", "strconv.ParseInt: parsing \"x\": invalid syntax"},
    };
    struct fake_node n = {0};
    start(&n, "{}", RUNNING);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, PODS "/p/log?container=a&%s", cases[i].query);
        struct api_reply r = api_expect(&n.k, cases[i].status, "GET", path, "", NULL);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
    }
    api_kit_stop(&n.k);
}

TEST(what_cannot_work_is_refused_before_the_node_is_asked)
{
    struct fake_node n = {0};
    start(&n, "{}", RUNNING);
    struct api_reply r = api_expect(&n.k, 400, "GET", PODS "/p/log?container=z", "", NULL);
    CHECK_SPAN(api_str(&r, "message"), "container z is not valid for pod p");
    r = api_expect(&n.k, 400, "GET", PODS "/p/log?container=a&previous=true", "", NULL);
    CHECK_SPAN(api_str(&r, "message"),
               "previous terminated container \"a\" in pod \"p\" not found");
    r = api_expect(&n.k, 400, "GET", PODS "/p/log?container=i", "", NULL);
    CHECK_SPAN(api_str(&r, "message"),
               "container \"i\" in pod \"p\" is waiting to start: ContainerCreating");
    (void)api_expect(&n.k, 404, "GET", PODS "/none/log", "", NULL);
    (void)api_expect(&n.k, 405, "DELETE", PODS "/p/log", "", NULL);
    r = api_expect(&n.k, 400, "POST", PODS "/p/portforward", "", NULL);
    CHECK_SPAN(api_str(&r, "message"), "Upgrade request required: WebSocket or SPDY/3.1");
    (void)api_expect(&n.k, 405, "PUT", PODS "/p/portforward", "", NULL);
    (void)api_expect(&n.k, 200, "PATCH", PODS "/p/status", MERGE,
                     "{\"status\":{\"phase\":\"Succeeded\"}}");
    r = api_expect(&n.k, 400, "POST", PODS "/p/exec?command=ls&stdout=true&container=a", "", NULL);
    CHECK_SPAN(api_str(&r, "message"),
               "cannot exec into a container in a completed pod; current phase is Succeeded");
    CHECK_EQ(n.asked, 0);
    api_kit_stop(&n.k);
}

TEST(a_pod_without_a_node_has_an_empty_log_and_no_exec)
{
    struct fake_node n = {0};
    start(&n, "{}", NULL);
    struct api_reply r = api_expect(&n.k, 200, "GET", PODS "/p/log?container=a", "", NULL);
    CHECK_EQ(r.body.n, 0);
    r = api_expect(&n.k, 400, "POST", PODS "/p/exec?command=ls&stdout=true&container=a", "", NULL);
    CHECK_SPAN(api_str(&r, "message"), "pod p does not have a host assigned");
    api_kit_stop(&n.k);
}

/* ---- logs over WebSocket ---- */

struct talk {
    struct fake_node *n;
    struct env_stream *stream;
    struct strbuf got;
    bool flag;
};

static void talk_read(void *data, struct span bytes)
{
    struct talk *t = data;
    strbuf_put(&t->got, bytes);
    t->flag = true;
}

static void talk_end(void *data, int code)
{
    struct talk *t = data;
    (void)code;
    env_stream_close(TAKE_PTR(t->stream));
    t->flag = true;
}

/* Until the reply has this. */
static void talk_until(struct talk *t, struct span text)
{
    while (!t->got.n || !memmem(t->got.p, t->got.n, text.p, text.n)) {
        t->flag = false;
        api_run_until(&t->n->k, &t->flag);
    }
}

static void talk_begin(struct talk *t, struct fake_node *n, const char *query, const char *protocol)
{
    static const struct env_stream_handler handler = {talk_read, talk_end, NULL};
    char path[256];
    *t = (struct talk){.n = n};
    (void)snprintf(path, sizeof path, PODS "/p/log%s", query);
    t->stream = api_dial_ws(&n->k, path, protocol, &handler, t);
}

static void talk_done(struct talk *t)
{
    if (t->stream) {
        env_stream_close(t->stream);
    }
    strbuf_done(&t->got);
}

TEST(logs_are_messages_over_websocket)
{
    struct fake_node n = {0};
    struct talk t;
    start(&n, "{}", RUNNING);
    talk_begin(&t, &n, "?container=a", "binary.k8s.io");
    talk_until(&t, SPAN("\x82\x0b"
                        "default/p/a\x88\x02\x03\xe8"));
    CHECK(span_starts(strbuf_span(&t.got), SPAN("HTTP/1.1 101 ")));
    CHECK(memmem(t.got.p, t.got.n, "Sec-WebSocket-Protocol: binary.k8s.io\r\n", 39) != NULL);
    talk_done(&t);
    talk_begin(&t, &n, "?container=a&follow=true", "binary.k8s.io"); /* quiet; the client leaves */
    talk_until(&t, SPAN("\r\n\r\n"));
    env_stream_write(t.stream, SPAN("\x89\x81\1\2\3\4\x78\x88\x82\1\2\3\4\2\xea"));
    talk_until(&t, SPAN("\x8a\x01y\x88\x02\x03\xe8"));
    CHECK_EQ(n.aborted, 1);
    talk_done(&t);
    talk_begin(&t, &n, "?container=a", "v4.channel.k8s.io");
    talk_until(&t, SPAN("server has binary.k8s.io for logs"));
    talk_done(&t);
    api_kit_stop(&n.k);
}
