//! Real shells complete `keyfast` with what it prints for them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

/// What bash offers for the last of these words.
fn offered(words: &[&str]) -> Vec<String> {
    let script = "source <(\"$0\" completion bash) || exit 1
        COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1))
        _keyfast keyfast \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let args = ["-c", script, env!("CARGO_BIN_EXE_keyfast")];
    let output = Command::new("bash").args(args).args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    assert_eq!(offered(&["keyfast", "pol"]), ["policy"]);
    assert_eq!(offered(&["keyfast", "policy", "c"]), ["check", "claims"]);
    assert_eq!(offered(&["keyfast", "policy", "check", "--s"]), ["--sarif"]);
    assert_eq!(offered(&["keyfast", "no-such"]), [""]);
}

#[test]
fn a_shell_that_nobody_knows_is_refused_with_those_that_are_known() {
    let output = Command::new(env!("CARGO_BIN_EXE_keyfast")).args(["completion", "dosh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("bash") && message.contains("zsh") && message.contains("fish"), "{message}");
}
