//! What a plain process runs: a command as the API has it, made into what the kernel takes.

use meros_proto::{ids::ContainerId, v1};

/// Set in the environment of every task, to `<agent instance>/<container id>`: whoever carries it
/// descends from that task, whatever session or parent it has now.
pub(super) const MARK: &str = "MEROS_CONTAINER";

/// The variable that a task is known by. `mark` is how those of this agent's tasks begin.
pub(super) fn marker(mark: &str, container: &ContainerId) -> Vec<u8> {
    format!("{MARK}={mark}{container}").into_bytes()
}

/// What tasks look for programs in unless they are told otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The shell of `sh -c`.
const SHELL: &str = "/bin/sh";

/// A command as the kernel takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) program: Vec<u8>,
    pub(super) argv: Vec<Vec<u8>>,
    pub(super) env: Vec<Vec<u8>>,
    pub(super) marker: Vec<u8>,
}

/// Why a command can't be run at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    #[error("shell command is not specified")]
    NoShellCommand,
    #[error("executable is not specified")]
    NoExecutable,
    #[error("the command holds a NUL byte")]
    Nul,
    #[error("environment variable {0:?} can't be set")]
    Variable(String),
}

/// Lays out `sh -c value`, or `value` with its arguments, which begin with the zeroth.
pub(super) fn program(
    command: &v1::CommandInfo,
    env: &[(String, String)],
    mark: &str,
) -> Result<Program, CommandError> {
    let value = command.value.as_deref().unwrap_or_default();
    let (program, argv) = if command.shell() {
        if command.value.is_none() {
            return Err(CommandError::NoShellCommand);
        }
        (SHELL, vec!["sh", "-c", value])
    } else {
        if value.is_empty() {
            return Err(CommandError::NoExecutable);
        }
        let arguments: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        (value, if arguments.is_empty() { vec![value] } else { arguments })
    };
    if program.contains('\0') || argv.iter().any(|argument| argument.contains('\0')) {
        return Err(CommandError::Nul);
    }
    Ok(Program {
        program: program.into(),
        argv: argv.into_iter().map(Into::into).collect(),
        env: environment(env, mark)?,
        marker: format!("{MARK}={mark}").into_bytes(),
    })
}

/// `NAME=value` each, the last of a name in the place of its first.
fn environment(env: &[(String, String)], mark: &str) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut merged: Vec<(&str, &str)> = Vec::with_capacity(env.len() + 2);
    let mut places = std::collections::HashMap::with_capacity(env.len() + 2);
    // `PATH` first, as the default; the mark last, so that no task is without its own.
    let ours = [("PATH", PATH)].into_iter();
    let given = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in ours.chain(given).chain([(MARK, mark)]) {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(CommandError::Variable(name.to_owned()));
        }
        let place = *places.entry(name).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(entry) => entry.1 = value,
            None => merged.push((name, value)),
        }
    }
    Ok(merged.into_iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(shell: Option<bool>, value: Option<&str>, arguments: &[&str]) -> v1::CommandInfo {
        v1::CommandInfo {
            shell,
            value: value.map(str::to_owned),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            ..Default::default()
        }
    }

    fn text(parts: &[Vec<u8>]) -> Vec<String> {
        parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }

    #[test]
    fn a_command_is_a_shell_line_unless_it_says_otherwise() {
        for (command, program_path, argv) in [
            (command(None, Some("a b"), &["x"]), "/bin/sh", vec!["sh", "-c", "a b"]),
            (command(Some(true), Some(""), &[]), "/bin/sh", vec!["sh", "-c", ""]),
            (command(Some(false), Some("/bin/ls"), &["ls", "-l"]), "/bin/ls", vec!["ls", "-l"]),
            (command(Some(false), Some("ls"), &[]), "ls", vec!["ls"]),
        ] {
            let program = program(&command, &[], "i/c").expect("valid");
            assert_eq!(program.program, program_path.as_bytes());
            assert_eq!(text(&program.argv), argv);
        }
    }

    #[test]
    fn a_command_that_names_nothing_is_refused() {
        for (command, error) in [
            (command(None, None, &[]), CommandError::NoShellCommand),
            (command(Some(false), None, &["x"]), CommandError::NoExecutable),
            (command(Some(false), Some(""), &["x"]), CommandError::NoExecutable),
            (command(None, Some("a\0b"), &[]), CommandError::Nul),
            (command(Some(false), Some("a"), &["b\0"]), CommandError::Nul),
        ] {
            assert_eq!(program(&command, &[], "i/c"), Err(error));
        }
    }

    #[test]
    fn a_later_variable_replaces_an_earlier_one_and_the_mark_stays() {
        let env = |variables: &[(&str, &str)]| {
            let variables: Vec<_> =
                variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            environment(&variables, "i/c").map(|env| text(&env))
        };
        assert_eq!(
            env(&[]).expect("valid"),
            [format!("PATH={PATH}").as_str(), "MEROS_CONTAINER=i/c"]
        );
        assert_eq!(
            env(&[("A", "1"), ("PATH", "/p"), ("A", "2=3"), (MARK, "forged")]).expect("valid"),
            ["PATH=/p", "A=2=3", "MEROS_CONTAINER=i/c"]
        );
        for name in ["", "A=B", "A\0"] {
            assert_eq!(env(&[(name, "")]), Err(CommandError::Variable(name.to_owned())));
        }
    }
}
