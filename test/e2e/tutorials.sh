#!/bin/bash
# The tutorials of doc/, as a reader types them: every yaml block is saved under the name in its first line, every line after "$ " in a console block
# is run, and what comes out must be what the page shows below it. "..." stands for anything, on a line of its own for any lines; ages, addresses
# and the width of gaps may differ. Lines that only look are repeated for a while, as a reader would.
E2E_IMAGES="busybox redis postgres"
export E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-480}
. "$(dirname "$0")/lib.sh"
start_berth
mkdir "$work/doc"; cd "$work/doc" || exit 1
kubectl() { k "$@"; }

shows() { # EXPECTED-FILE ACTUAL-FILE
    perl -0777 -e '
        my ($want, $got) = map { open my $f, "<", $_ or die; my $t = <$f> // ""; $t =~ s/[ \t]+$//mg; $t } @ARGV;
        my $re = "";
        for (split /\n/, $want) {
            if ($_ eq "...") { $re .= "(?:[^\\n]*\\n)*?"; next }
            my $l = quotemeta;
            $l =~ s/(?:\\[ \t])+/[ \\t]+/g;
            $l =~ s/\\\.\\\.\\\./[^\\n]*/g;
            $l =~ s/(?<![\w.])\d+\\\.\d+\\\.\d+\\\.\d+(?!\w)/[0-9.]+/g unless $l =~ /127\\\.0/;
            $l =~ s/(?<=\+)\d+[smh]$/[0-9smh]+/;
            $re .= "$l\\n";
        }
        $got .= "\n" if length $got && $got !~ /\n\z/;
        exit($got =~ /\A$re\z/ ? 0 : 1)' "$1" "$2"
}

try() { # COMMAND: its output is what is in ./wanted
    (eval "$1") >"$work/seen" 2>&1 </dev/null
    shows "$work/wanted" "$work/seen" || { echo "shown on the page:"; cat "$work/wanted"; echo "seen:"; cat "$work/seen"; return 1; }
}

step() {
    [ -n "$command" ] || return 0
    case $command in
    'kubectl get'* | 'kubectl describe'* | 'kubectl logs'*) check "$page: $command" within 60 try "$command" ;;
    *) K_TIMEOUT_S=120 check "$page: $command" try "$command" ;;
    esac
    command=
}

for page in tutorial-redis tutorial-postgres; do
    block='' command='' file=''
    while IFS= read -r line; do
        case $block:$line in
        :'```yaml' | :'```console') block=${line#'```'} file= ;;
        ?*:'```') step; block= ;;
        'yaml:# '*) if [ -z "$file" ]; then file=${line#'# '}; : >"$file"; else echo "$line" >>"$file"; fi ;;
        yaml:*) echo "$line" >>"$file" ;;
        'console:$ '*) step; command=${line#'$ '}; : >"$work/wanted" ;;
        console:*) echo "$line" >>"$work/wanted" ;;
        esac
    done <"$top/doc/$page.md"
    check "$page: the page leaves nothing" equal '' kubectl get sts,pods,pvc,secrets -o name
done
cd /
finish
