package source

import (
	"errors"
	"os/exec"

	"golang.org/x/sys/windows"
)

// runGroup runs cmd in a job object, which ends with all its processes when the
// context does. A process started before the job holds its parent escapes it;
// Windows has no way to start one inside a job through os/exec.
func runGroup(cmd *exec.Cmd) error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(job)
	cmd.SysProcAttr = &windows.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	cmd.Cancel = func() error {
		return errors.Join(windows.TerminateJobObject(job, 1), cmd.Process.Kill())
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(cmd.Process.Pid))
	if err == nil {
		// Without the job only the process itself is ended, which is the lesser evil.
		_ = windows.AssignProcessToJobObject(job, process)
		_ = windows.CloseHandle(process)
	}
	return cmd.Wait()
}

// splitCommand splits a credential_process as Windows programs split their own
// command lines: backslashes are path separators, only double quotes quote.
func splitCommand(text string) ([]string, error) {
	argv, err := windows.DecomposeCommandLine(text)
	if err != nil || len(argv) == 0 || argv[0] == "" {
		return nil, errors.New("it names no program")
	}
	return argv, nil
}
