# shellcheck shell=bash
# Messages of `make setup` and of try_machine.sh, under their `title`: what is going on, and one clear paragraph when a
# step fails.

# One line for the terminal and, once there is one, for the log.
say() {
    printf '[%s] %s\n' "$title" "$*"
    if [ -n "$log" ]; then printf '\n[%s] %s\n' "$title" "$*" >>"$log"; fi
}

# fail "what failed" ["what to do" ...]: ends with the message.
fail() {
    {
        printf '\n[%s] ERROR: %s\n' "$title" "$1"
        shift
        if [ $# -gt 0 ]; then printf '  %s\n' "$@"; fi
    } >&2
    exit 1
}

# fail_with_log lines "what failed" ["what to do" ...]: the same, with the end of the log in between.
fail_with_log() {
    local lines=$1 what=$2
    shift 2
    fail "$what" "The last lines of $log:" \
        "$(tail -n "$lines" "$log" | cut -c 1-300 | sed 's/^/| /; 1!s/^/  /')" "$@"
}

# logged command ...: its output goes to the log only.
logged() {
    printf '\n$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1
}

start_log() {
    [ -z "$log" ] || return 0
    mkdir -p "$cache/log" 2>/dev/null && [ -w "$cache/log" ] ||
        fail "cannot write to the cache folder $cache" "Name another one: XDG_CACHE_HOME=/a/folder make setup"
    log=$cache/log/$(date +%Y%m%d-%H%M%S)-$$.log
    : >"$log"
    find "$cache/log" -name '*.log' -mtime +30 -delete
    say "log: $log"
}

# need_space folder MiB "what for" ["another remedy"]
need_space() {
    local folder=$1 needed=$2 purpose=$3 free
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    free=$(($(df -Pk "$folder" | awk 'NR == 2 {print $4}') / 1024))
    [ "$free" -ge "$needed" ] ||
        fail "not enough disk space: $purpose needs $needed MiB in $folder, $free MiB are free." \
            "Free some space${4:+, or $4}, then try again."
}
