#include "codec/names.h"

#include <arpa/inet.h>

#include "base/check.h"
#include "base/limits.h"

static const char length63[] = "must be no more than 63 bytes";
static const char length253[] = "must be no more than 253 bytes";
static const char label_text[] =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
static const char label_1035_text[] =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
#define SUBDOMAIN_TEXT                                                                             \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "   \
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "  \
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define QUALIFIED_TEXT                                                                             \
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "    \
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "         \
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
static const char value_text[] =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
static const char config_key_text[] =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/* What stands in a name: small letters and digits everywhere, the others in some. */
enum name_byte { NAME_SMALL = 1, NAME_CAPITAL, NAME_HYPHEN, NAME_DOT, NAME_UNDERSCORE };

static const uint8_t name_bytes[256] = {
    ['a' ... 'z'] = NAME_SMALL, ['0' ... '9'] = NAME_SMALL, ['A' ... 'Z'] = NAME_CAPITAL,
    ['-'] = NAME_HYPHEN,        ['.'] = NAME_DOT,           ['_'] = NAME_UNDERSCORE};

static inline enum name_byte name_byte(char c)
{
    return name_bytes[(unsigned char)c];
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alnum(char c)
{
    return name_byte(c) == NAME_SMALL || name_byte(c) == NAME_CAPITAL;
}

static void complain(struct names_fault *f, const char *text)
{
    assert(f->n < NAMES_MESSAGES_MAX);
    f->text[f->n++] = text;
}

static bool is_label(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool edge = i == 0 || i == s.n - 1;
        if (name_byte(s.p[i]) != NAME_SMALL && (edge || name_byte(s.p[i]) != NAME_HYPHEN)) {
            return false;
        }
    }
    return s.n > 0;
}

/* Labels with dots between them, in one look at each byte. */
static bool is_subdomain(struct span s)
{
    enum name_byte before = NAME_DOT;
    for (size_t i = 0; i < s.n; i++) {
        enum name_byte is = name_byte(s.p[i]);
        if (is != NAME_SMALL && (before == NAME_DOT || (is != NAME_HYPHEN && is != NAME_DOT))) {
            return false;
        }
        if (is == NAME_DOT && before == NAME_HYPHEN) {
            return false;
        }
        before = is;
    }
    return before == NAME_SMALL;
}

/* Letters, digits, '-', '_' and '.', with a letter or digit at both ends. */
static bool is_word(struct span s)
{
    if (s.n == 0 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1])) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!name_byte(s.p[i])) {
            return false;
        }
    }
    return true;
}

/* Too long, and of another form, are two faults. */
static struct names_fault fault_of(bool is_long, const char *long_text, bool is_form,
                                   const char *form_text)
{
    struct names_fault f = {0};
    if (is_long) {
        complain(&f, long_text);
    }
    if (!is_form) {
        complain(&f, form_text);
    }
    return f;
}

struct names_fault names_dns_label(struct span s)
{
    return fault_of(s.n > LIMIT_DNS_LABEL_BYTES, length63, is_label(s), label_text);
}

struct names_fault names_dns_label_1035(struct span s)
{
    return fault_of(s.n > LIMIT_DNS_LABEL_BYTES, length63, is_label(s) && is_lower(s.p[0]),
                    label_1035_text);
}

struct names_fault names_dns_subdomain(struct span s)
{
    return fault_of(s.n > LIMIT_DNS_SUBDOMAIN_BYTES, length253, is_subdomain(s), SUBDOMAIN_TEXT);
}

bool names_finalizer_known(struct span s)
{
    return span_find(s, '/') < s.n || span_eq(s, SPAN("orphan")) ||
           span_eq(s, SPAN("foregroundDeletion")) || span_eq(s, SPAN("kubernetes"));
}

bool names_native_resource(struct span s)
{
    const struct span own = SPAN("kubernetes.io/");
    for (size_t i = 0; i + own.n <= s.n; i++) {
        if (span_starts(span_from(s, i), own)) {
            return true;
        }
    }
    return span_find(s, '/') == s.n;
}

struct names_fault names_qualified(struct span s)
{
    struct names_fault f = {0};
    size_t slash = span_find(s, '/');
    struct span name = s;
    if (slash < s.n) {
        struct span prefix = span_first(s, slash);
        name = span_from(s, slash + 1);
        if (span_find(name, '/') < name.n) {
            complain(&f,
                     "a qualified name " QUALIFIED_TEXT
                     " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
            return f;
        }
        if (prefix.n == 0) {
            complain(&f, "prefix part must be non-empty");
        } else if (prefix.n > LIMIT_DNS_SUBDOMAIN_BYTES) {
            complain(&f, "prefix part must be no more than 253 bytes");
        } else if (!is_subdomain(prefix)) {
            complain(&f, "prefix part " SUBDOMAIN_TEXT);
        }
    }
    if (name.n == 0) {
        complain(&f, "name part must be non-empty");
    } else if (name.n > LIMIT_LABEL_VALUE_BYTES) {
        complain(&f, "name part must be no more than 63 bytes");
    }
    if (!is_word(name)) {
        complain(&f, "name part " QUALIFIED_TEXT);
    }
    return f;
}

struct names_fault names_label_value(struct span s)
{
    return fault_of(s.n > LIMIT_LABEL_VALUE_BYTES, length63, s.n == 0 || is_word(s), value_text);
}

struct names_fault names_config_key(struct span s)
{
    struct names_fault f = {0};
    if (s.n > LIMIT_DNS_SUBDOMAIN_BYTES) {
        complain(&f, length253);
    }
    bool ok = s.n > 0;
    for (size_t i = 0; i < s.n; i++) {
        ok = ok && name_byte(s.p[i]);
    }
    if (!ok) {
        complain(&f, config_key_text);
    } else if (span_eq(s, SPAN("."))) {
        complain(&f, "must not be '.'");
    } else if (span_eq(s, SPAN(".."))) {
        complain(&f, "must not be '..'");
    } else if (span_starts(s, SPAN(".."))) {
        complain(&f, "must not start with '..'");
    }
    return f;
}

struct names_fault names_env(struct span s)
{
    struct names_fault f = {0};
    bool ok = s.n > 0;
    for (size_t i = 0; i < s.n; i++) {
        ok = ok && s.p[i] >= ' ' && s.p[i] <= '~' && s.p[i] != '=';
    }
    if (!ok) {
        complain(&f, "a valid environment variable name must consist only of printable ASCII "
                     "characters other than '='");
    }
    return f;
}

struct names_fault names_port(struct span s)
{
    struct names_fault f = {0};
    bool syntax = s.n > 0, letter = false, twice = false;
    for (size_t i = 0; i < s.n; i++) {
        syntax = syntax && (name_byte(s.p[i]) == NAME_SMALL || s.p[i] == '-');
        letter = letter || is_lower(s.p[i]);
        twice = twice || (i > 0 && s.p[i] == '-' && s.p[i - 1] == '-');
    }
    if (s.n > 15) {
        complain(&f, "must be no more than 15 bytes");
    }
    if (!syntax) {
        complain(&f, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if (!letter) {
        complain(&f, "must contain at least one letter (a-z)");
    }
    if (twice) {
        complain(&f, "must not contain consecutive hyphens");
    } else if (s.n && (s.p[0] == '-' || s.p[s.n - 1] == '-')) {
        complain(&f, "must not begin or end with a hyphen");
    }
    return f;
}

bool names_ip_bytes(struct span s, unsigned char ret[16])
{
    assert(s.p || s.n == 0);
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN];
    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    memcpy(ret, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, ret + sizeof mapped) == 1 ||
           inet_pton(AF_INET6, text, ret) == 1;
}

bool names_is_ip(struct span s)
{
    unsigned char ignored[16];
    return names_ip_bytes(s, ignored);
}
