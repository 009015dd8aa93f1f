package usererr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestFrom(t *testing.T) {
	own := &Error{Code: AccessDenied, Msg: "no"}
	for _, c := range []struct {
		err  error
		code Code
	}{{own, AccessDenied}, {fmt.Errorf("with: %w", own), AccessDenied}, {context.DeadlineExceeded, Unavailable}, {context.Canceled, Unavailable}, {errors.New("CANARY"), Internal}} {
		e := From(c.err)
		if e.Code != c.code || strings.Contains(fmt.Sprintf("%v", e), "CANARY") {
			t.Errorf("%v: %#v", c.err, e)
		}
	}
	if From(nil) != nil {
		t.Error("an error of none")
	}
}
