/* base/limits.h: every limit of the program in one place, each with its reason.
 * Tests stand on both sides of each boundary. Units are the last word of a name. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
    /* Kubernetes' own limit on a request body (3 MiB) and on a stored object (etcd's 1.5 MiB). */
    LIMIT_BODY_BYTES = 3 * 1024 * 1024,
    LIMIT_OBJECT_BYTES = 1536 * 1024,
    /* Deeper JSON or YAML is an attack on recursion, never an object: the deepest v1 type is 17
       levels. */
    LIMIT_JSON_DEPTH = 128,
    /* A body of 3 MiB has at most half as many values; more come only from aliases that multiply.
     */
    LIMIT_YAML_NODES = 1500 * 1000,
    /* A list as YAML is one tree, written at one go: a tenth of a second in which nobody else is
       answered. */
    LIMIT_YAML_LIST_BYTES = 4 * 1024 * 1024,
    /* A request head: kubectl sends 1 KB, service account tokens add 1 to 2 KB. */
    LIMIT_HTTP_HEAD_BYTES = 32 * 1024,
    LIMIT_URL_BYTES = 8 * 1024,
    /* A token of a service account: 1 KB is usual, more only with many audiences. Looked at before
     * anything else is done with it. */
    LIMIT_TOKEN_BYTES = 16 * 1024,
    /* Tokens whose signature need not be verified again, 0.6 KB each: a verification takes some
     * 60 us, as long as a small request. */
    LIMIT_TOKENS_VERIFIED = 2048,
    /* Connections are small (about 40 KB with TLS); a machine's worth of clients fits. */
    LIMIT_CONNECTIONS = 4096,
    /* A client that has not sent its head or body by then is dropped. */
    LIMIT_HTTP_READ_MS = 30 * 1000,
    /* A TLS handshake is two round trips. */
    LIMIT_TLS_HANDSHAKE_MS = 15 * 1000,
    /* Idle keep-alive connections; Go's clients give theirs up after 90 s, so they close first. */
    LIMIT_HTTP_IDLE_MS = 120 * 1000,
    /* A client that does not take a whole reply by then is dropped. */
    LIMIT_HTTP_WRITE_MS = 120 * 1000,
    /* After an error reply, unread input is thrown away for so long, so that the reply arrives
     * before the reset. */
    LIMIT_HTTP_LINGER_MS = 2 * 1000,
    /* Writes of clients that wait for the disk at a time; beyond, 429 with Retry-After. */
    LIMIT_WRITES_INFLIGHT = 4096,
    /* Lists on their way to clients that do not take them at once; kube-apiserver's limit of reads.
     */
    LIMIT_LISTS_INFLIGHT = 400,
    /* Of one HTTP/2 connection at a time, as Go's servers allow. */
    LIMIT_HTTP2_STREAMS = 250,
    /* Bytes of a request's body in flight; it is consumed as it comes. */
    LIMIT_HTTP2_STREAM_WINDOW_BYTES = 1024 * 1024,
    /* All request bodies that one connection may have in memory. */
    LIMIT_HTTP2_WINDOW_BYTES = 16 * 1024 * 1024,
    /* kubectl sends about 8. */
    LIMIT_HTTP_HEADERS = 100,
    /* Pipelined bytes kept while a request is being answered; beyond, reading stops. */
    LIMIT_HTTP_PIPELINE_BYTES = 64 * 1024,
    /* Whole replies above this are compressed for clients that accept gzip (as kube-apiserver
       does). */
    LIMIT_HTTP_GZIP_MIN_BYTES = 128 * 1024,
    /* A watch ends by itself in 30 to 60 minutes unless the client asks for another time. */
    LIMIT_WATCH_DEFAULT_S = 30 * 60,
    LIMIT_WATCH_MAX_S = 24 * 60 * 60,
    /* Superseded versions kept so that watches resume: see store/store.h. */
    LIMIT_HISTORY_VERSIONS = 16384,
    /* Bytes of them: what many changes of large objects may take, in memory and on disk. */
    LIMIT_HISTORY_BYTES = 64 * 1024 * 1024,
    /* Events that the watch cache keeps, all resources together: creations are no history for the
     * store, so that its limit does not bound them. An entry is 40 bytes; the objects are shared
     * with the cache. */
    LIMIT_WINDOW_EVENTS = 65536,
    /* The write-ahead log is copied into the database above the first size when the store is idle,
     * above the second at once: 4 and 16 MiB of pages; replaying the larger one takes about 50 ms.
     */
    LIMIT_WAL_IDLE_BYTES = 4 * 1024 * 1024,
    LIMIT_WAL_BYTES = 16 * 1024 * 1024,
    /* Events live an hour, as in Kubernetes. */
    LIMIT_EVENT_TTL_S = 60 * 60,
    /* One name of a log event is written at most this often. */
    LOG_RATE_PER_S = 200,
    /* A SPDY control frame and its header block unpacked: kubectl's have about 100 bytes. */
    LIMIT_SPDY_CONTROL_BYTES = 16 * 1024,
    LIMIT_SPDY_HEADERS = 64,
    /* Streams of one exec: five at most. */
    LIMIT_REMOTE_STREAMS = 16,
    /* Bytes on their way in either direction of an exec, attach or log: beyond, the producer waits.
     */
    LIMIT_REMOTE_QUEUE_BYTES = 64 * 1024,
    /* A client that has not opened its streams by then, or does not hang up after the end, is
       dropped. */
    LIMIT_REMOTE_SETUP_MS = 30 * 1000,
    LIMIT_REMOTE_LINGER_MS = 10 * 1000,
    /* What a command whose client has gone may take to work off the input that it was sent. */
    LIMIT_REMOTE_LEFT_MS = 30 * 1000,
    /* Ports of one WebSocket of channels: each takes two of the 256 channels and a socket of the
       node. */
    LIMIT_FORWARD_PORTS = 64,
    /* Connections of one port-forward at a time: a browser opens a few dozen; each costs the node a
       socket. A client that wants more is refused the stream. */
    LIMIT_FORWARD_CONNECTIONS = 256,
    /* The number that pairs a connection's two streams. */
    LIMIT_FORWARD_ID_BYTES = 32,
    /* A pod that does not accept within that time has a full backlog. Holds up a worker thread. */
    LIMIT_FORWARD_CONNECT_MS = 2 * 1000,
    /* A proxied server that has not begun its reply by then. Kubernetes waits a minute as well. */
    LIMIT_PROXY_HEAD_MS = 60 * 1000,
    /* A terminal size on the resize channel: {"Width":65535,"Height":65535} and some space. */
    LIMIT_REMOTE_RESIZE_BYTES = 256,
    /* Names and label values (RFC 1123; apimachinery validation). */
    LIMIT_DNS_LABEL_BYTES = 63,
    LIMIT_DNS_SUBDOMAIN_BYTES = 253,
    LIMIT_LABEL_VALUE_BYTES = 63,
    LIMIT_ANNOTATIONS_BYTES = 256 * 1024,
    /* Evictions under way that one disruption budget remembers (kube-apiserver's own limit). */
    LIMIT_DISRUPTED_PODS = 2000,
    /* Terms and values of one selector: an 8 KB URL holds some hundred. */
    LIMIT_SELECTOR_TERMS = 4096,
    /* A pattern of a custom kind: real ones have some hundred bytes; {1,63} and its like are
       written out. */
    LIMIT_REGEX_BYTES = 4096,
    LIMIT_REGEX_INSTRUCTIONS = 8192,
    /* Of one match: about 0.2 s. */
    LIMIT_REGEX_STEPS = 20 * 1000 * 1000,
    /* Levels and nodes of the schema of a custom kind: the largest in use have some 20 levels and
       20,000 nodes. */
    LIMIT_CUSTOM_DEPTH = 48,
    LIMIT_CUSTOM_NODES = 60 * 1000,
    /* Custom kinds of one server; each costs a few KB and one informer. */
    LIMIT_CUSTOM_KINDS = 2000,
    /* X.509's own limit on a name (ub-common-name, ub-organization-name). */
    LIMIT_CERTIFICATE_NAME_BYTES = 64,
    /* Groups of one certificate: each is compared at each request. */
    LIMIT_CERTIFICATE_GROUPS = 64,
    /* Single permissions of roles that somebody gives who holds them in pieces: each is looked for
     * in every rule of theirs. */
    LIMIT_ACCESS_TUPLES = 10 * 1000,
    /* Elements that a list of kind set or map may have: each is looked up once. */
    LIMIT_CUSTOM_SET = 100 * 1000,
    /* Operations of one JSON Patch (kube-apiserver's own limit). */
    LIMIT_JSON_PATCH_OPS = 10000,
    /* Nodes a patch may visit: about 0.3 s. Quadratic only for lists merged by key, far above any
       real patch. */
    LIMIT_PATCH_STEPS = 50 * 1000 * 1000,
    /* Nodes that the copy operations of one JSON Patch may add: copying a copy doubles each time.
     */
    LIMIT_PATCH_COPY_NODES = 1000 * 1000,
    /* Seconds that a pod may take to end, of those it is given: 60 years. More cannot be told from
       it, and would lead out of the years that a time can be written in. */
    LIMIT_GRACE_S = 60 * 365 * 24 * 3600,
    /* Fields that one entry of managedFields names: an object of 1.5 MiB has fewer. */
    LIMIT_FIELDSET_NODES = 200 * 1000,
    /* Keys that name an element of a list: four in Kubernetes' own kinds. */
    LIMIT_FIELDSET_KEYS = 16,
    /* Entries of managedFields: ten of updates, and one for each applier. Compared each with each.
     */
    LIMIT_MANAGED_ENTRIES = 1024,
    /* A field manager's name (apimachinery validation). */
    LIMIT_FIELD_MANAGER_BYTES = 128,
    /* The subresource that it writes through (the same). */
    LIMIT_SUBRESOURCE_BYTES = 256,
    /* A DNS message over TCP; over UDP 512 or the EDNS size, at most 1232 (no fragments). */
    LIMIT_DNS_TCP_BYTES = 65535,
    LIMIT_DNS_UDP_BYTES = 1232,
    /* An image's /etc/passwd or /etc/group; Debian's have 1 KB. */
    LIMIT_PASSWD_BYTES = 1024 * 1024,
    /* Supplementary groups of a container's user; the kernel takes 65536. */
    LIMIT_GROUPS = 256,
    /* What a runtime program may say about its failure. */
    LIMIT_RUNTIME_MESSAGE_BYTES = 16 * 1024,
    /* Bytes typed into a container before it takes them: kubectl waits above this. */
    LIMIT_SESSION_INPUT_BYTES = 1024 * 1024,
    /* Requests that the containers of a pod name together; the scheduler adds them up by name. */
    LIMIT_POD_REQUESTS = 1024,
    /* Resources that one quota or one member of a LimitRange names, scopes, too: each pod is held
     * against all of them. Kubernetes has some thirty kinds to count. */
    LIMIT_QUOTA_NAMES = 256,
};

/* What one pod asks for and one node has, in bytes or thousandths of a processor, counts as at most
 * this (64 TiB): the accounts of a node with a hundred thousand pods stay far from overflow. */
#define LIMIT_SCHEDULE_AMOUNT (1LL << 46)

_Static_assert(LIMIT_OBJECT_BYTES < LIMIT_BODY_BYTES, "a stored object fits in a request");
_Static_assert(LIMIT_TOKEN_BYTES < LIMIT_HTTP_HEAD_BYTES, "a token is part of the head");
_Static_assert(LIMIT_URL_BYTES < LIMIT_HTTP_HEAD_BYTES, "the URL is part of the head");

#endif
