// Writes docs/api-javascript.md from the public types: each exported declaration with its comments, by entry point.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import ts from "typescript";

const HEAD = `# The JavaScript API

You have the [quick start](quickstart-javascript.md) running and want to know what else there is. This page is written from the types of the
packages by \`npm run build -- --accept\` in \`client/js\`.

`;

/** The declarations of a file that are exported, in the order of their names. */
function exported(file) {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  const named = (node) => node.name?.text ?? node.declarationList?.declarations[0].name.text;
  const isExported = (node) => node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) && named(node);
  return { source, all: source.statements.filter(isExported).map((node) => ({ name: named(node), node })).sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

const comments = (node) => ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);

/** The text of a comment, with its tags as a list. */
function prose(node) {
  const [doc] = comments(node).slice(-1);
  if (!doc) return "";
  const text = (part) => (typeof part === "string" ? part : (part ?? []).map(({ text: of, name }) => of || name?.getText() || "").join(""));
  const tag = (of) => {
    const about = ts.isJSDocParameterTag(of) ? `\`${of.name.getText()}\`: ` : of.tagName.text === "throws" ? "throws " : "returns ";
    return `- ${about}${text(of.comment).replace(/^- /, "")}`;
  };
  return [text(doc.comment), (doc.tags ?? []).map(tag).join("\n")].filter(Boolean).join("\n\n");
}

/** What has no comment: a declaration, or a member of one. */
function undocumented({ name, node }) {
  const members = ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node) ? node.members : [];
  const isPrivate = (member) => member.name?.kind === ts.SyntaxKind.PrivateIdentifier || member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword);
  const silent = members.filter((member) => member.name && !isPrivate(member) && comments(member).length === 0);
  return [...(comments(node).length === 0 ? [name] : []), ...silent.map((member) => `${name}.${member.name.getText()}`)];
}

function code({ node, source }) {
  const text = source.text.slice(node.getStart(source), node.end).replace(/^export (declare )?/, "");
  return "```ts\n" + text.replaceAll(/^ {4}(?= *\S)/gm, "  ").replaceAll(/^\s*(private|#).*\n/gm, "") + "\n```";
}

/** Returns what is wrong. `write`: writes the page, in place of comparing it. */
export function apiPage(page, entries, write) {
  const told = new Set();
  const faults = [];
  let text = HEAD;
  for (const [name, file] of entries) {
    const { source, all } = exported(file);
    const fresh = all.filter((declaration) => !told.has(declaration.name));
    fresh.forEach((declaration) => told.add(declaration.name));
    faults.push(...fresh.flatMap(undocumented).map((what) => `${name}: ${what} has no comment`));
    text += `## ${name}\n\n`;
    const others = all.filter((declaration) => !fresh.includes(declaration)).map(({ name: title }) => `[\`${title}\`](#${title.toLowerCase()})`);
    if (others.length > 0) text += `${fresh.length > 0 ? "It also has" : "It has"} ${others.join(", ")}.\n\n`;
    for (const { name: title, node } of fresh) text += [`### ${title}`, prose(node), code({ node, source })].filter(Boolean).join("\n\n") + "\n\n";
  }
  text = text.trimEnd() + "\n";
  if (write) writeFileSync(page, text);
  else if (!existsSync(page) || readFileSync(page, "utf8") !== text) faults.push("docs/api-javascript.md is not that of the public types: run npm run build -- --accept");
  return faults;
}
