# Checks the documents: awk -f tools/links.awk README.md docs/*.md …; see `make links`.
#
# A relative link must lead to a file or directory, its #anchor to a heading there
# (as GitHub names anchors), and a path of this repository in backticks, such as
# `src/config.rs`, must exist; except in the changelog, which also names what has gone,
# and with NAME, AREA, BEHAVIOUR or NNNN in it.
# Links into the web are not followed.
#
# Ends with 1 and a line for each that leads nowhere.

FNR == 1 { in_code = 0; folder = FILENAME; if (!sub(/[^\/]*$/, "", folder)) folder = ""; files++ }
/^ *(```|~~~)/ { in_code = !in_code; next }
in_code { next }

/^#+ / { anchors[FILENAME "#" anchor_of($0)] = 1 }

{
    prose = $0
    gsub(/`[^`]*`/, "", prose)
    while (match(prose, /\]\([^)]*\)/)) {
        remember(substr(prose, RSTART + 2, RLENGTH - 3))
        prose = substr(prose, RSTART + RLENGTH)
    }
}

FILENAME !~ /CHANGELOG/ {
    pieces = split($0, piece, "`")
    for (i = 2; i <= pieces; i += 2)
        if (piece[i] ~ /^(benches|docs|examples|src|sysctl|tests|tools)\/[A-Za-z0-9_.\/-]*$/ &&
            piece[i] !~ /\/(NAME|AREA|BEHAVIOUR|NNNN)[.\/-]/)
            note("./" piece[i], "", "`" piece[i] "`")
}

END {
    for (i = 1; i <= places; i++) {
        path = to[i]
        if (!(path in known)) known[path] = exists(path)
        if (!known[path])
            complain(i, "there is no " path)
        else if (anchor[i] != "" && path ~ /\.md$/ && !(path "#" anchor[i] in anchors))
            complain(i, path " has no heading #" anchor[i] ", or is not among the documents that are checked")
    }
    if (!files) { print "links: no document was named" > "/dev/stderr"; exit 1 }
    if (faults) exit 1
    print "links: " places " links and paths in " files " documents lead somewhere"
}

# The anchor of a heading: its text in small letters, with hyphens for spaces, without
# punctuation; a second one of the same name is numbered.
function anchor_of(heading,    name, count) {
    sub(/^#+ +/, "", heading)
    while (match(heading, /\]\([^)]*\)/))
        heading = substr(heading, 1, RSTART - 1) substr(heading, RSTART + RLENGTH)
    name = tolower(heading)
    gsub(/[^a-z0-9 _\200-\377-]/, "", name)
    gsub(/ /, "-", name)
    count = repeated[FILENAME, name]++
    return count ? name "-" count : name
}

function remember(link,    hash, name) {
    sub(/ ".*"$/, "", link)
    if (link ~ /^[a-z]+:/) return
    hash = index(link, "#")
    name = hash ? substr(link, hash + 1) : ""
    if (hash) link = substr(link, 1, hash - 1)
    note(link == "" ? FILENAME : folder link, name, "(" link (hash ? "#" name : "") ")")
}

function note(path, name, shown) {
    places++
    to[places] = plain(path); anchor[places] = name; text[places] = shown
    place[places] = FILENAME ":" FNR
}

# A path without `.` and `..`.
function plain(path,    parts, part, n, i, kept, out) {
    n = split(path, parts, "/")
    for (i = 1; i <= n; i++) {
        part = parts[i]
        if (part == "." || part == "") continue
        if (part == ".." && kept > 0) kept--
        else stack[++kept] = part
    }
    for (i = 1; i <= kept; i++) out = out (i > 1 ? "/" : "") stack[i]
    return out
}

function exists(path,    quoted) {
    quoted = path
    gsub(/'/, "'\\''", quoted)
    return system("test -e '" quoted "'") == 0
}

function complain(i, why) {
    print place[i] ": " text[i] ": " why > "/dev/stderr"
    faults++
}
