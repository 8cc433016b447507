# Makes a table of what the hostile tests reported: awk -f tools/hostile/table.awk target/test.log
# Each has written a line for each driver that begins with "HOSTILE: ".

BEGIN { FS = " [|] " }

/^HOSTILE: / {
    kind = substr($1, length("HOSTILE: ") + 1)
    if (!(kind in cases)) order[++kinds] = kind
    split($3, words, " "); cases[kind] += words[1]; all += words[1]
    split($5, words, " "); deliveries[kind] += words[1]; heard += words[1]
    if (words[6] + 0 > slowest[kind] + 0) slowest[kind] = words[6]
    split($6, words, " "); peak = substr(words[6], 2)
    growth = substr(words[2], 2)
    if (growth + 0 > grown[kind] + 0) grown[kind] = growth
    if (peak + 0 > most[kind] + 0) most[kind] = peak
}

END {
    if (!kinds) { print "No hostile test has reported."; exit 1 }
    print "| kind of attack | cases | result | deliveries to witnesses, lost | slowest delivery | memory after more rounds, at most meanwhile |"
    print "|---|---:|---|---:|---:|---:|"
    for (i = 1; i <= kinds; i++) {
        kind = order[i]
        printf "| %s | %d | withstood | %d, 0 | %d ms | +%d KiB, +%d KiB |\n",
            kind, cases[kind], deliveries[kind], slowest[kind], grown[kind], most[kind]
    }
    printf "| all | %d | | %d, 0 | | |\n", all, heard
}
