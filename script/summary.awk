# Reads go test -json and prints what a person wants of it: a line per package,
# the whole output of what failed, what was skipped and why, and the totals.
# Expects a last line "exit STATUS". left_out is a file of things that could
# not be installed, one a line.

/^exit [0-9]+$/ { status = substr($0, 6) + 0; ended = 1; next }
!/^{/ { print; next }
{
	action = field("Action"); test = plain(field("Test")); package = field("Package")
	short = package
	sub(/^[^\/]*\//, "", short)
	key = package SUBSEP test
}
action == "build-output" { print_text(field("Output")); next }
action == "output" {
	text = field("Output")
	if (test == "" && text ~ /^(ok  |FAIL\\t|\?   )/) {
		print_text(text)
	} else {
		said[key] = said[key] text
	}
	next
}
test == "" && action == "fail" {
	if (!(package in failures)) {
		failed++ # it did not compile, or ended outside of a test
		failures[package] = 1
		failing[++n_failing] = short
	}
	print_text(said[key])
}
test != "" && action == "pass" { passed++ }
test != "" && action == "fail" {
	failed++
	failures[package] = 1
	failing[++n_failing] = short " " test
	print "--- " short " " test
	print_text(said[key])
}
test != "" && action == "skip" {
	skipped++
	why = reason(said[key])
	if (!(why in skips)) {
		order[++n_reasons] = why
	}
	skips[why] = skips[why] "\n    " short " " test
}
action == "pass" || action == "fail" || action == "skip" { delete said[key] }

END {
	print ""
	while ((getline line < left_out) > 0) {
		print "left out: " line
	}
	for (i = 1; i <= n_reasons; i++) {
		print "skipped: " order[i] skips[order[i]]
	}
	for (i = 1; i <= n_failing; i++) {
		print "failed: " failing[i]
	}
	if (!ended) {
		print "failed: the tests did not come to their end"
		failed++
	} else if (status != 0 && !failed) {
		print "failed: go test ended with status " status
		failed++
	} else if (!passed && !failed) {
		print "failed: no test ran"
		failed++
	}
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed > 0
}

# field is a string of the JSON object in $0, still escaped; "" when it has none.
function field(name, rest) {
	name = "\"" name "\":\""
	if (!index($0, name)) {
		return ""
	}
	rest = substr($0, index($0, name) + length(name))
	match(rest, /^([^"\\]|\\.)*/)
	return substr(rest, 1, RLENGTH)
}

function print_text(text) { printf "%s", plain(text) }

# plain takes JSON's escapes out.
function plain(text, out, at, c) {
	out = ""
	while ((at = index(text, "\\")) > 0) {
		out = out substr(text, 1, at - 1)
		c = substr(text, at + 1, 1)
		if (c == "u") {
			c = code(substr(text, at + 2, 4))
			text = substr(text, at + 6)
		} else {
			c = c == "n" ? "\n" : c == "t" ? "\t" : c == "r" ? "" : c
			text = substr(text, at + 2)
		}
		out = out c
	}
	return out text
}

# code is the character of a \u escape, as far as go test writes them.
function code(hex) {
	return hex == "003c" ? "<" : hex == "003e" ? ">" : hex == "0026" ? "&" : "?"
}

# reason is what was given to t.Skip.
function reason(text, lines, n, i, line, out) {
	n = split(plain(text), lines, "\n")
	for (i = 1; i <= n; i++) {
		line = lines[i]
		if (line !~ /^ / || line ~ /^ *(---|===) /) {
			continue
		}
		sub(/^ +[^ :]+\.go:[0-9]+: /, "", line)
		sub(/^ +/, "", line)
		out = out (out == "" ? "" : " ") line
	}
	return out == "" ? "no reason given" : out
}
