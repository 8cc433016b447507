# Makes one line of a table of each benchmark that gungraun prints over three lines,
# and lets everything else through.

BEGIN {
    printf "%-40s %12s  %-20s %16s  %s\n", "operation", "instructions", "before", "estimated cycles", "before"
}

# The measured value, followed by the earlier value with the change.
function split_figures(line,    parts) {
    sub(/^[^:]*: */, "", line)
    split(line, parts, "|")
    value = parts[1]
    before = parts[2]
    gsub(/ +/, " ", before)
    sub(/ \[.*/, "", before)
    sub(/ \(No change\)/, "", before)
    sub(/ \(\*+\)/, "", before)
    if (before == value) before = "the same"
    if (before == "N/A") before = "-"
}

/^instructions::[a-z0-9_]+::/ {
    name = $1 " " $2
    sub(/^instructions::[a-z0-9_]+::/, "", name)
    sub(/:.*/, "", name)
    gsub(/_/, " ", name)
    next
}
/^  Instructions:/ {
    split_figures($0)
    count = value
    count_before = before
    next
}
/^  Estimated Cycles:/ {
    split_figures($0)
    printf "%-40s %12d  %-20s %16d  %s\n", name, count, count_before, value, before
    next
}
/^  Baselines:/ { next }
{ print }
