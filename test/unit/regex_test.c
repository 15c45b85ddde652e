/* Regular expressions as patterns of custom kinds have them. */
#include "base/arena.h"
#include "codec/regex.h"
#include "test/kit/kit.h"

/* 1, 0; -2: the pattern is refused. */
static int match(const char *pattern, const char *text)
{
    struct arena *a = arena_new();
    const char *why;
    struct regex *r = regex_compile(a, span_cstr(pattern), &why);
    int rc = r ? regex_match(r, a, span_cstr(text)) : -2;
    CHECK((why != NULL) == (r == NULL));
    arena_free(a);
    return rc;
}

TEST(patterns_match_as_in_re2)
{
    static const struct {
        const char *pattern, *text;
        int want;
    } cases[] = {
        {"", "", 1},
        {"b", "abc", 1},
        {"^b", "abc", 0},
        {"^a.c$", "abc", 1},
        {"^a.c$", "a\nc", 0},
        {"(?s)^a.c$", "a\nc", 1},
        {"^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$", "*/5 1 * * 3", 1},
        {"^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$", "*/5 1 * *", 0},
        {"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-b", 1},
        {"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-", 0},
        {"^a{2,3}$", "a", 0},
        {"^a{2,3}$", "aaa", 1},
        {"^a{2,3}$", "aaaa", 0},
        {"^a{2,}$", "aaaaaa", 1},
        {"^a{0}b$", "b", 1},
        {"^(ab){2}c?$", "ababc", 1},
        {"^a{,3}$", "a{,3}", 1},
        {"^(a|bc|)d$", "d", 1},
        {"^(a|bc|)d$", "bcd", 1},
        {"^[^a-c]+$", "xyz", 1},
        {"^[^a-c]+$", "xbz", 0},
        {"^[]a]+$", "]a", 1},
        {"^[\\w.-]+$", "a_9.-", 1},
        {"^[[:alpha:]]+$", "aZ", 1},
        {"^\\W\\D\\S$", "-a.", 1},
        {"(?i)^abc$", "AbC", 1},
        {"^(?i:a)b$", "AB", 0},
        {"^(?P<x>a)\\x41\\t$", "aA\t", 1},
        {"\\bfoo\\b", "a foo b", 1},
        {"\\bfoo\\b", "afoo b", 0},
        {"^(a*)*$", "aaaa", 1},
        {"^\xc3\xa4.$", "\xc3\xa4\xe2\x82\xac", 1},
        {"^a+?b*?$", "aab", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int got = match(cases[i].pattern, cases[i].text);
        if (got != cases[i].want) {
            kit_fail(__FILE__, __LINE__, "%s on %s: %d", cases[i].pattern, cases[i].text, got);
        }
    }
}

TEST(what_cannot_be_had_is_refused)
{
    static const char *const bad[] = {"(",
                                      ")",
                                      "[a",
                                      "*a",
                                      "a**",
                                      "a{2,1}",
                                      "a{1001}",
                                      "(?=a)",
                                      "(?<!a)",
                                      "\\1",
                                      "\\p{L}",
                                      "[b-a]",
                                      "\\",
                                      "(?m)a",
                                      "\\xZZ",
                                      "((a{1000}){1000}){1000}",
                                      "((((){1000}){1000}){1000}){9}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (match(bad[i], "") != -2) {
            kit_fail(__FILE__, __LINE__, "%s is accepted", bad[i]);
        }
    }
}

/* A backtracking engine would not come back. */
TEST(time_is_bounded_whatever_the_pattern)
{
    struct arena *a = arena_new();
    char *text = arena_alloc(a, 20001);
    memset(text, 'a', 20000);
    text[19999] = '!';
    CHECK_EQ(match("^(a+)+$", text), 0);
    CHECK_EQ(match("^(a|aa)+$", text), 0);
    CHECK_EQ(match("((a?){500}){4}b", text), -1); /* over the bound of steps */
    arena_free(a);
}
