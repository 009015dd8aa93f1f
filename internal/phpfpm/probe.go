package phpfpm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Seen is what a worker sees of one variable.
type Seen struct {
	Getenv bool   `json:"g"` // getenv() has it, and not empty
	Env    bool   `json:"e"` // it is in the process's environment: getenv(…, true)
	Server bool   `json:"s"` // $_SERVER has it, and not empty
	Empty  bool   `json:"z"` // it is there, and empty
	Value  string `json:"v"` // of the names in shown, else ""
}

// Set says whether the AWS SDK for PHP takes it as set: from getenv, else from
// $_SERVER, and never when empty.
func (s Seen) Set() bool { return s.Getenv || s.Server }

// TokenFile is what a worker sees of the file that
// AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names.
type TokenFile struct {
	Exists   bool `json:"x"`
	Readable bool `json:"r"`
	Size     int  `json:"n"`
	Newline  bool `json:"l"` // holds a line break, with which no request is sent
}

// View is what a worker of a pool sees.
type View struct {
	Vars      map[string]Seen `json:"vars"`
	TokenFile *TokenFile      `json:"file"` // nil: no such variable
	User      string          `json:"user"`
	Home      string          `json:"home"`
	PHP       string          `json:"php"`
	NoCurl    bool            `json:"nocurl"`
	NoGetenv  bool            `json:"nogetenv"` // getenv is disabled; then nothing else is known
	Basedir   string          `json:"basedir"`
}

// Names are the variables that decide about credentials in the AWS SDK for PHP,
// and of what rolecall tells programs.
func Names() []string {
	return strings.Fields(names)
}

const names = `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI
	AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_CONTAINER_AUTHORIZATION_TOKEN
	AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
	AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN AWS_ROLE_SESSION_NAME
	AWS_PROFILE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE
	AWS_REGION AWS_DEFAULT_REGION AWS_EC2_METADATA_DISABLED
	AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE
	AWS_METADATA_SERVICE_TIMEOUT AWS_METADATA_SERVICE_NUM_ATTEMPTS`

// Shown says whether the value of a variable may be shown. Keys, tokens and the
// path of a container's role, which is all one needs for its keys, may not.
func Shown(name string) bool { return among(shown, name) }

const shown = `AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
	AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN AWS_PROFILE AWS_CONFIG_FILE
	AWS_SHARED_CREDENTIALS_FILE AWS_REGION AWS_DEFAULT_REGION AWS_EC2_METADATA_DISABLED
	AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE
	AWS_METADATA_SERVICE_TIMEOUT AWS_METADATA_SERVICE_NUM_ATTEMPTS`

// script is the probe: it answers with JSON between two marks, and shows values
// of the names in shown alone. It runs on PHP 5.4 and later.
func script(mark string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "<?php\nif (!function_exists('getenv')) { echo %[1]s, '{\"nogetenv\":true}', %[1]s; exit; }\n", phpString(mark))
	b.WriteString("$o = array('vars' => array());\nforeach (array(")
	for _, n := range Names() {
		fmt.Fprintf(&b, "'%s' => %t, ", n, Shown(n))
	}
	b.WriteString(`) as $n => $show) {
    $g = getenv($n);
    $e = PHP_VERSION_ID >= 50600 ? getenv($n, true) : false;
    $s = isset($_SERVER[$n]) && is_string($_SERVER[$n]) ? $_SERVER[$n] : false;
    if ($g === false && $s === false) { continue; }
    $v = $g !== false && $g !== '' ? $g : (string) $s;
    $o['vars'][$n] = array('g' => $g !== false && $g !== '', 'e' => $e !== false && $e !== '',
        's' => $s !== false && $s !== '', 'z' => $v === '', 'v' => $show ? substr($v, 0, 1000) : '');
}
$f = getenv('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE');
if ($f !== false && $f !== '') {
    $o['file'] = array('x' => @file_exists($f), 'r' => false, 'n' => 0, 'l' => false);
    $t = @is_file($f) ? @file_get_contents($f, false, null, 0, 65536) : false;
    if ($t !== false) {
        $o['file'] = array('x' => true, 'r' => true, 'n' => strlen($t), 'l' => strpbrk($t, "\r\n") !== false);
    }
}
$o['vars'] = (object) $o['vars'];
$u = function_exists('posix_geteuid') && function_exists('posix_getpwuid') ? posix_getpwuid(posix_geteuid()) : false;
$o['user'] = $u ? $u['name'] : '';
$o['home'] = (string) getenv('HOME');
$o['php'] = PHP_VERSION;
$o['nocurl'] = !function_exists('curl_exec');
$o['basedir'] = (string) ini_get('open_basedir');
`)
	fmt.Fprintf(&b, "echo %s, json_encode($o, 512), %s;\n", phpString(mark), phpString(mark)) // 512: JSON_PARTIAL_OUTPUT_ON_ERROR
	return []byte(b.String())
}

func phpString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// ErrScript says that FPM answered, but did not run the script.
var ErrScript = errors.New("FPM did not run the probe")

// probe asks a pool to run the script at path, as its workers see the path.
// Those three parameters are all: whatever else a worker reports is its
// environment, as FastCGI parameters look the same to getenv.
func probe(ctx context.Context, dial Dial, path, mark string) (View, error) {
	a, err := Ask(ctx, dial, map[string]string{
		"SCRIPT_FILENAME": path, "SCRIPT_NAME": "/" + path[strings.LastIndexByte(path, '/')+1:], "REQUEST_METHOD": "GET",
	})
	if err != nil {
		return View{}, err
	}
	return parseView(a.Stdout, a.Stderr, mark)
}

func parseView(stdout, stderr []byte, mark string) (View, error) {
	_, rest, ok := bytes.Cut(stdout, []byte(mark))
	body, _, closed := bytes.Cut(rest, []byte(mark))
	if !ok || !closed {
		why := "it printed something else"
		for _, known := range []struct{ text, why string }{
			{"Primary script unknown", "its workers do not see the script"},
			{"Unable to open primary script", "its workers may not read the script"},
			{"Access denied", "security.limit_extensions refuses the script"},
			{"Access to the script", "security.limit_extensions refuses the script"},
			{"open_basedir", "open_basedir forbids it"},
			{"File not found", "its workers do not see the script"},
			{"Call to undefined function getenv", "getenv is disabled"},
		} {
			if bytes.Contains(stderr, []byte(known.text)) || bytes.Contains(stdout, []byte(known.text)) {
				why = known.why
				break
			}
		}
		return View{}, fmt.Errorf("%w: %s", ErrScript, why)
	}
	var v View
	if err := json.Unmarshal(body, &v); err != nil {
		return View{}, fmt.Errorf("%w: its answer is no JSON", ErrScript)
	}
	return v, nil
}
