/* codec/regex.h: regular expressions in RE2's syntax, as the patterns of custom kinds are written.
 *
 * A simulation of all paths at once: time is (length of the text) x (size of the expression),
 * whatever the expression; there is no backtracking. Supported: alternation, groups (also (?:...),
 * (?P<name>...), flags i and s), classes with \d \w \s and [:names:], repetition up to 1000, lazy
 * marks, ^ $ \A \z \b \B. What cannot be had (look-around, back-references, \p) is refused. */
#ifndef CODEC_REGEX_H
#define CODEC_REGEX_H

#include "base/arena.h"
#include "base/span.h"

struct regex;

/* In the arena, for ever as long as that. NULL with *reterr (a literal) when the pattern is
 * malformed, not supported or over LIMIT_REGEX_INSTRUCTIONS. */
struct regex *regex_compile(struct arena *a, struct span pattern, const char **reterr);
/* Does the expression match anywhere in the text: 1 or 0; -1 when that would take more than
 * LIMIT_REGEX_STEPS. Scratch memory is in the arena. */
int regex_match(const struct regex *r, struct arena *scratch, struct span text);

#endif
