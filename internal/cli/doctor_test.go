package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"rolecall/internal/doctor"
)

// sick is a report with one of each.
func sick() doctor.Report {
	return doctor.Report{Took: 120 * time.Millisecond, Results: []doctor.Result{
		{Check: "php-fpm", Target: "pool www", Outcome: doctor.Failed, Cause: "php-fpm.clear-env",
			Summary: "workers do not see AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
			Evidence: []doctor.Evidence{
				{Text: "the container has it (pid 1), php-fpm drops it: clear_env is on by default"},
				{Where: "/usr/local/etc/php-fpm.d/www.conf:448", Text: ";clear_env = no"},
			},
			Fixes: []doctor.Fix{
				{Text: "add to [www]   env[X] = $X"},
				{Command: "rolecall doctor php-fpm --fix"},
				{Text: "remove the line", Where: "a.conf:3", Command: "vi +3 a.conf"},
			}},
		{Check: "proxy", Target: "this shell", Outcome: doctor.Warning, Cause: "proxy.link-local", Summary: "a proxy \x1b[31mcatches it"},
		{Check: "files", Target: "this shell", Outcome: doctor.OK, Summary: "files are fine"},
		{Check: "processes", Target: "this shell", Outcome: doctor.Skipped, Summary: "not checked", Why: "needs root"},
	}}
}

func TestWriteReport(t *testing.T) {
	t.Parallel()
	const short = `✗ one thing is wrong: workers do not see AWS_CONTAINER_CREDENTIALS_RELATIVE_URI

✗ pool www: workers do not see AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
  the container has it (pid 1), php-fpm drops it: clear_env is on by default
  /usr/local/etc/php-fpm.d/www.conf:448   ;clear_env = no
  fix: add to [www]   env[X] = $X
  or   rolecall doctor php-fpm --fix
  or   remove the line in a.conf:3: vi +3 a.conf

! this shell: a proxy ?[31mcatches it
`
	const rest = `
✓ this shell: files are fine

- this shell: not checked
  needs root
`
	var b bytes.Buffer
	if err := writeReport(&b, sick(), false, false); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), short+"\nchecks that could not be made: 1; --verbose says why\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b.Reset()
	if err := writeReport(&b, sick(), true, false); err != nil {
		t.Fatal(err)
	}
	if b.String() != short+rest {
		t.Errorf("verbose: got\n%s", b.String())
	}
	b.Reset()
	_ = writeReport(&b, sick(), true, true)
	if !strings.Contains(b.String(), colourRed+"✗ "+colourOff) || strings.Contains(b.String(), "\x1b[31mcatches") {
		t.Errorf("colours: got\n%q", b.String())
	}
}

func TestShowReport(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{stdout: &out, getenv: func(string) string { return "" }}
	var quiet silent
	if err := a.showReport(sick(), &doctorFlags{asJSON: true}); !errors.As(err, &quiet) || quiet.code != exitFailed {
		t.Errorf("something is wrong, and the error is %v", err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Healthy || got.Cause != "php-fpm.clear-env" || len(got.Results) != 4 || got.Seconds != 0.12 {
		t.Errorf("%+v", got)
	}
	out.Reset()
	if err := a.showReport(doctor.Report{}, &doctorFlags{asJSON: true}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), `"results": []`) {
		t.Error(out.String())
	}
	healthy := doctor.Report{Results: []doctor.Result{{Outcome: doctor.Warning, Summary: "odd"}}}
	if err := a.showReport(healthy, &doctorFlags{}); err != nil {
		t.Error(err)
	}
}
