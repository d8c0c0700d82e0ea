//! Prints the structure of the core, or of the crate whose root file is given: files per folder, cycles, imports from
//! the root of the crate, the longest functions and the longest files. Code of tests does not count.

use std::{collections::BTreeMap, env, fs, path::PathBuf, process::ExitCode};

use health_tests::module_graph::Crate;

/// Number of functions and files in each list.
const LISTED: usize = 5;

fn main() -> ExitCode {
    let core = concat!(env!("CARGO_MANIFEST_DIR"), "/../health-core/src/lib.rs");
    let root = env::args_os().nth(1).map_or_else(|| PathBuf::from(core), PathBuf::from);
    let sources = match Crate::read(&root) {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("structure: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut folders: Vec<(usize, PathBuf)> = sources.folders().into_iter().map(|(path, files)| (files, path)).collect();
    folders.sort_by(|a, b| b.cmp(a));
    println!("files per folder:");
    for (files, folder) in folders {
        println!("{files:>6}  src/{}", folder.display());
    }
    let circles = sources.circles();
    println!("cycles of files: {}", circles.len());
    for circle in circles {
        println!("        {}", circle.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "));
    }
    let imports = sources.imports();
    println!(
        "names imported through the root of the crate or a re-export: {}",
        imports.iter().filter(|it| !it.is_direct).count()
    );
    let mut functions = sources.functions.clone();
    functions.sort_by_key(|(_, lines, _)| std::cmp::Reverse(*lines));
    println!("longest functions, in lines:");
    for (name, lines, file) in functions.iter().take(LISTED) {
        println!("{lines:>6}  {name} in {}", file.display());
    }
    let directory = root.parent().map(PathBuf::from).unwrap_or_default();
    let files: BTreeMap<PathBuf, usize> = sources
        .modules()
        .filter_map(|(_, module)| {
            let text = fs::read_to_string(directory.join(&module.file)).ok()?;
            Some((module.file.clone(), text.lines().count()))
        })
        .collect();
    let mut files: Vec<(usize, PathBuf)> = files.into_iter().map(|(file, lines)| (lines, file)).collect();
    files.sort_by(|a, b| b.cmp(a));
    println!("longest files, in lines:");
    for (lines, file) in files.iter().take(LISTED) {
        println!("{lines:>6}  {}", file.display());
    }
    ExitCode::SUCCESS
}
