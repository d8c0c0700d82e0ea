//! The modules of a crate and the imports between them, found by parsing the sources.
//!
//! A crate is read from its root file along its `mod` declarations, without tests (`#[cfg(test)]`). Every path counts
//! as an import: in `use`, in expressions, types and patterns, and in the tokens of macros. A path is followed through
//! re-exports to the module that defines its item.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Expr, File, Item, ItemUse, Meta, UseTree, spanned::Spanned as _, visit, visit::Visit};

/// A module path without its crate: `["engine", "store"]`. The path of the root is empty.
pub type ModulePath = Vec<String>;

/// One module of a crate.
#[derive(Debug, Default)]
pub struct Module {
    /// The file with its source, relative to the root file.
    pub file: PathBuf,
    /// The names that the module defines itself.
    items: BTreeSet<String>,
    /// The names that the module imports or re-exports, with the paths that they stand for.
    aliases: BTreeMap<String, Vec<String>>,
    /// The modules whose items the module imports by a glob.
    globs: Vec<Vec<String>>,
    /// The paths that name items of the crate, with their lines.
    paths: Vec<(Vec<String>, usize)>,
    /// The names of everything that waits, locks, or reaches outside the process, with their lines.
    effects: Vec<(String, usize)>,
    /// The modules declared in this module, each with the feature of its `#[cfg(feature = "…")]` if it has one.
    pub children: BTreeMap<String, Option<String>>,
    /// The traits that the module implements, by the last segment of their paths.
    pub implements: BTreeSet<String>,
    /// The methods called on fields, as pairs of field and method, with their lines.
    pub calls: Vec<([String; 2], usize)>,
    /// Every path of more than one segment as written, with its line.
    pub named: Vec<(String, usize)>,
    /// The literals in code, with their lines.
    pub literals: Vec<(String, usize)>,
}

/// One import: the importing module, and the path and module of the imported item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The module that imports.
    pub from: ModulePath,
    /// The line of the import in the file of that module.
    pub line: usize,
    /// The path as written, made absolute.
    pub path: Vec<String>,
    /// The module that defines the item, or the module that the path names.
    pub module: ModulePath,
    /// Whether the path names the module that defines the item, not a re-export or the root of the crate.
    pub is_direct: bool,
}

/// A parsed crate.
#[derive(Debug, Default)]
pub struct Crate {
    modules: BTreeMap<ModulePath, Module>,
    /// The name, number of lines and file of every function.
    pub functions: Vec<(String, usize, PathBuf)>,
}

impl Crate {
    /// Parses the crate with this root file.
    ///
    /// # Errors
    ///
    /// Returns an error if a file is missing or does not parse.
    pub fn read(root: &Path) -> Result<Self, String> {
        let directory = root.parent().unwrap_or(Path::new("."));
        let read = |path: &Path| fs::read_to_string(directory.join(path)).ok();
        let name = root.file_name().map(PathBuf::from).unwrap_or_default();
        Self::parse(&name, &read)
    }

    /// Parses a crate. `read` returns the source of a path.
    ///
    /// # Errors
    ///
    /// Returns an error if a source is missing or does not parse.
    pub fn parse(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Result<Self, String> {
        let mut parsed = Self::default();
        parsed.load(root, Path::new(""), Vec::new(), read)?;
        let modules: BTreeSet<ModulePath> = parsed.modules.keys().cloned().collect();
        for (path, module) in &mut parsed.modules {
            module.make_absolute(path, &modules);
        }
        Ok(parsed)
    }

    fn load(
        &mut self,
        file: &Path,
        children: &Path,
        path: ModulePath,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<(), String> {
        let text = read(file).ok_or_else(|| format!("{}: no such file", file.display()))?;
        let parsed: File = syn::parse_file(&text)
            .map_err(|error| format!("{}:{}: {error}", file.display(), error.span().start().line))?;
        self.add(file, children, path, &parsed.items, read)
    }

    fn add(
        &mut self,
        file: &Path,
        children: &Path,
        path: ModulePath,
        items: &[Item],
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<(), String> {
        let mut reader =
            Reader { module: Module { file: file.to_owned(), ..Module::default() }, functions: Vec::new() };
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            if let Some(name) = item_name(item) {
                reader.module.items.insert(name);
            }
            if let Item::Mod(item) = item {
                let name = item.ident.to_string();
                let inside: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
                reader.module.children.insert(name.clone(), feature(&item.attrs));
                match &item.content {
                    Some((_, items)) => self.add(file, &children.join(&name), inside, items, read)?,
                    None => {
                        let plain = children.join(format!("{name}.rs"));
                        let folder = children.join(&name).join("mod.rs");
                        let given = path_attribute(&item.attrs).map(|path| children.join(path));
                        let file = given.unwrap_or(if read(&plain).is_some() { plain } else { folder });
                        self.load(&file, &children.join(&name), inside, read)?;
                    }
                }
            } else {
                reader.visit_item(item);
            }
        }
        self.functions.append(&mut reader.functions);
        self.modules.insert(path, reader.module);
        Ok(())
    }

    /// Returns every module with its path.
    pub fn modules(&self) -> impl Iterator<Item = (&ModulePath, &Module)> {
        self.modules.iter()
    }

    /// Returns every import of one module from another. The exports of the root do not count.
    #[must_use]
    pub fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (from, module) in self.modules.iter().filter(|(path, _)| !path.is_empty()) {
            for (path, line) in &module.paths {
                for (module, is_direct) in self.definitions(path, &mut BTreeSet::new()) {
                    if module != *from {
                        imports.insert(Import {
                            from: from.clone(),
                            line: *line,
                            path: path.clone(),
                            module,
                            is_direct,
                        });
                    }
                }
            }
        }
        imports
    }

    /// Returns the modules that define the item of a path, and whether the path names them without a re-export.
    fn definitions(&self, path: &[String], seen: &mut BTreeSet<Vec<String>>) -> Vec<(ModulePath, bool)> {
        if !seen.insert(path.to_vec()) {
            return Vec::new();
        }
        let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length])).unwrap_or(0);
        let (module_path, rest) = path.split_at(length);
        let Some(module) = self.modules.get(module_path) else { return Vec::new() };
        let Some(name) = rest.first() else { return vec![(module_path.to_vec(), true)] };
        if name == "*" {
            let mut all = vec![(module_path.to_vec(), true)];
            let exports = module.aliases.values().chain(&module.globs);
            all.extend(exports.flat_map(|target| self.definitions(target, seen)).map(|(module, _)| (module, false)));
            return all;
        }
        if module.items.contains(name) {
            return vec![(module_path.to_vec(), !module_path.is_empty())];
        }
        let follow = |target: &Vec<String>, seen: &mut BTreeSet<Vec<String>>| {
            let target: Vec<String> = target.iter().chain(&rest[1..]).cloned().collect();
            self.definitions(&target, seen).into_iter().map(|(module, _)| (module, false)).collect::<Vec<_>>()
        };
        if let Some(target) = module.aliases.get(name) {
            return follow(target, seen);
        }
        for glob in &module.globs {
            let target: Vec<String> = glob.iter().cloned().chain([name.clone()]).collect();
            let found = follow(&target, seen);
            if !found.is_empty() {
                return found;
            }
        }
        // A macro defines the item. Its expansion is not parsed.
        if module_path.is_empty() { Vec::new() } else { vec![(module_path.to_vec(), true)] }
    }

    /// Returns the cycles: sets of files that import each other, directly or through others. Each cycle appears once.
    #[must_use]
    pub fn circles(&self) -> Vec<BTreeSet<PathBuf>> {
        let mut edges: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for import in &self.imports() {
            let file = |path: &ModulePath| self.modules.get(path).map(|module| module.file.as_path());
            if let (Some(from), Some(to)) = (file(&import.from), file(&import.module))
                && from != to
            {
                edges.entry(from).or_default().insert(to);
            }
        }
        let reached = |start: &Path| {
            let mut reached: BTreeSet<&Path> = BTreeSet::new();
            let mut next: Vec<&Path> = edges.get(start).into_iter().flatten().copied().collect();
            while let Some(file) = next.pop() {
                if reached.insert(file) {
                    next.extend(edges.get(file).into_iter().flatten());
                }
            }
            reached
        };
        let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
        for file in edges.keys().filter(|file| reached(file).contains(*file)) {
            let circle = reached(file).into_iter().filter(|other| reached(other).contains(file));
            let circle: BTreeSet<PathBuf> = circle.map(Path::to_owned).collect();
            if !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    /// Returns the number of files in each folder, without tests.
    #[must_use]
    pub fn folders(&self) -> BTreeMap<PathBuf, usize> {
        let files: BTreeSet<&PathBuf> = self.modules.values().map(|module| &module.file).collect();
        let mut folders = BTreeMap::new();
        for file in files {
            *folders.entry(file.parent().unwrap_or(Path::new("")).to_owned()).or_insert(0) += 1;
        }
        folders
    }
}

impl Module {
    /// Returns everything in the module that waits, locks, or reaches outside the process, with its line.
    pub fn effects(&self) -> impl Iterator<Item = &(String, usize)> {
        self.effects.iter()
    }

    /// Makes every path absolute and drops paths that name nothing of the crate.
    fn make_absolute(&mut self, here: &ModulePath, modules: &BTreeSet<ModulePath>) {
        let absolute = |path: &[String], aliases: &BTreeMap<String, Vec<String>>| -> Option<Vec<String>> {
            let (first, rest) = path.split_first()?;
            let join = |start: &[String], rest: &[String]| start.iter().chain(rest).cloned().collect::<Vec<_>>();
            match first.as_str() {
                "crate" | "$crate" => Some(rest.to_vec()),
                "self" => Some(join(here, rest)),
                "super" => {
                    let ups = path.iter().take_while(|segment| *segment == "super").count();
                    Some(join(here.get(..here.len().checked_sub(ups)?)?, &path[ups..]))
                }
                name => {
                    let child = join(here, std::slice::from_ref(first));
                    if modules.contains(&child) {
                        return Some(join(&child, rest));
                    }
                    let target = aliases.get(name)?;
                    // The associated names of an item add nothing to its import.
                    (!rest.is_empty() && modules.contains(target)).then(|| join(target, rest))
                }
            }
        };
        let none = BTreeMap::new();
        self.aliases = std::mem::take(&mut self.aliases)
            .into_iter()
            .filter_map(|(name, path)| Some((name, absolute(&path, &none)?)))
            .collect();
        self.globs = self.globs.iter().filter_map(|path| absolute(path, &none)).collect();
        self.paths =
            self.paths.iter().filter_map(|(path, line)| Some((absolute(path, &self.aliases)?, *line))).collect();
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}, imports crate::{}", self.from.join("::"), self.line, self.path.join("::"))?;
        if !self.is_direct {
            write!(
                f,
                ", which {} defines",
                if self.module.is_empty() { "lib.rs".into() } else { self.module.join("::") }
            )?;
        }
        Ok(())
    }
}

/// Reads one module.
struct Reader {
    module: Module,
    functions: Vec<(String, usize, PathBuf)>,
}

impl Reader {
    fn path(&mut self, segments: Vec<String>, line: usize) {
        self.module.named.push((segments.join("::"), line));
        if let Some(effect) = effect(&segments) {
            self.module.effects.push((effect, line));
        }
        self.module.paths.push((segments, line));
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String], line: usize) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(path.ident.to_string()), line),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, before, line)),
            UseTree::Glob(_) => {
                self.module.globs.push(before.to_vec());
                self.path(with("*".to_owned()), line);
            }
            UseTree::Name(name) if name.ident == "self" => self.alias(before.last().cloned(), before.to_vec(), line),
            UseTree::Name(name) => self.alias(Some(name.ident.to_string()), with(name.ident.to_string()), line),
            UseTree::Rename(rename) => {
                let path = if rename.ident == "self" { before.to_vec() } else { with(rename.ident.to_string()) };
                self.alias(Some(rename.rename.to_string()), path, line);
            }
        }
    }

    fn alias(&mut self, name: Option<String>, path: Vec<String>, line: usize) {
        if let Some(name) = name {
            self.module.aliases.insert(name, path.clone());
        }
        self.path(path, line);
    }

    /// Finds the paths in the tokens of a macro: names with `::` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut line = 0;
        for token in
            tokens.into_iter().chain([TokenTree::Punct(proc_macro2::Punct::new(';', proc_macro2::Spacing::Alone))])
        {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Ident(ident) if colons == 2 => {
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    if path.len() > 1 {
                        self.path(std::mem::take(&mut path), line);
                    }
                    path.clear();
                    colons = 0;
                    if let TokenTree::Ident(ident) = other {
                        line = ident.span().start().line;
                        path.push(ident.to_string());
                    }
                }
            }
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
        }
    }

    fn function(&mut self, name: String, span: proc_macro2::Span) {
        let lines = span.end().line - span.start().line + 1;
        self.functions.push((name, lines, self.module.file.clone()));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_tree(&item.tree, &[], item.span().start().line);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(item.sig.ident.to_string(), item.block.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(segment) = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last()) {
            self.module.implements.insert(segment.ident.to_string());
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            self.function(item.sig.ident.to_string(), item.block.span());
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(token) = &signature.asyncness {
            self.module.effects.push(("async".to_owned(), token.span.start().line));
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        if let Expr::Await(_) | Expr::Async(_) = expression {
            self.module.effects.push(("await".to_owned(), expression.span().start().line));
        }
        visit::visit_expr(self, expression);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let Expr::Field(syn::ExprField { member: syn::Member::Named(field), .. }) = &*call.receiver {
            self.module.calls.push(([field.to_string(), call.method.to_string()], call.method.span().start().line));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.path(segments, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_lit(&mut self, literal: &'ast syn::Lit) {
        let text = match literal {
            syn::Lit::Str(text) => text.value(),
            syn::Lit::ByteStr(text) => String::from_utf8_lossy(&text.value()).into_owned(),
            syn::Lit::Int(number) => number.base10_digits().to_owned(),
            _ => return,
        };
        self.module.literals.push((text, literal.span().start().line));
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

/// Returns the path if it names something of another crate that blocks, waits or reaches outside the process, which an
/// answer must not do.
fn effect(path: &[String]) -> Option<String> {
    let starts = |start: &[&str]| path.iter().zip(start).filter(|(a, b)| a == b).count() == start.len();
    let waits = [&["tokio", "spawn"][..], &["tokio", "net"], &["tokio", "time", "sleep"], &["tokio", "sync"]];
    let reaches = [&["std", "fs"][..], &["std", "process"], &["std", "thread"], &["std", "env"], &["tokio", "fs"]];
    let is_one = |list: &[&[&str]]| list.iter().any(|start| starts(start));
    let sockets = ["TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs"];
    let locks = ["Mutex", "RwLock", "Condvar", "Barrier"];
    let is_std = path.first().is_some_and(|first| first == "std");
    let last = path.last().map_or("", String::as_str);
    let is_effect = is_one(&waits) || is_one(&reaches) || is_std && (sockets.contains(&last) || locks.contains(&last));
    is_effect.then(|| path.join("::"))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || matches!(
                &attribute.meta,
                Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test"
            )
    })
}

/// Returns the feature of `#[cfg(feature = "…")]`.
fn feature(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).find_map(|attribute| {
        let pair: syn::MetaNameValue = attribute.parse_args().ok()?;
        match pair.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) if pair.path.is_ident("feature") => {
                Some(name.value())
            }
            _ => None,
        }
    })
}

/// Returns the path of `#[path = "…"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn item_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
