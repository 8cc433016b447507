# Adds up what `cargo test` printed; see `make test`. A test that had to leave
# something out has written a line that begins with "SKIPPED: " to stderr.

/^test .* \.\.\. FAILED$/ { failures[++failure_count] = $2 }
/^SKIPPED: /              { skips[++skip_count] = $0 }

/^test result: / {
    programs++
    for (i = 2; i <= NF; i++) {
        if ($i == "passed;")  passed += $(i - 1)
        if ($i == "failed;")  failed += $(i - 1)
        if ($i == "ignored;") ignored += $(i - 1)
    }
}

END {
    print ""
    for (i = 1; i <= failure_count; i++) print "FAILED: " failures[i]
    for (i = 1; i <= skip_count; i++) print skips[i]
    if (programs == 0)
        print "No test ran: see the compiler's errors above."
    else
        printf "%d passed, %d failed, %d ignored, in %d test programs.\n", passed, failed, ignored, programs
}
