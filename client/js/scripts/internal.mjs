// The members of internal objects: the build shortens their names. They follow from the types. A name that a type of src/
// declares as a member stays as it is only where it also is one of
// - the public types, which are rolled up in dist/ before,
// - what goes over a line: all of that is in src/protocol.ts,
// - what Node and the package `ws` declare: all of that is in src/node.ts,
// - the platform, as far as src/ uses it: a member that TypeScript's own libraries declare.
import path from "node:path";
import ts from "typescript";

/** What the types of these files declare as members. */
function membersOf(files) {
  const found = new Set();
  const visit = (node) => {
    const isMember = ts.isPropertySignature(node) || ts.isMethodSignature(node) || ts.isPropertyDeclaration(node) || ts.isMethodDeclaration(node) || ts.isAccessor(node);
    if (isMember && ts.isIdentifier(node.name)) found.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  files.forEach(visit);
  return found;
}

/** Which members of other types these files read, write or give. */
function usesOf(files, checker, isOwn) {
  const found = new Set();
  const use = (type, name) => {
    const parts = type?.isUnionOrIntersection() ? type.types : [type];
    for (const part of parts) {
      const declared = part && checker.getPropertyOfType(checker.getApparentType(part), name)?.declarations;
      if (declared?.some((declaration) => !isOwn(declaration.getSourceFile()))) found.add(name);
    }
  };
  const visit = (node) => {
    if (ts.isPropertyAccessExpression(node)) use(checker.getTypeAtLocation(node.expression), node.name.text);
    if (ts.isObjectLiteralExpression(node)) for (const { name } of node.properties) if (name) use(checker.getContextualType(node), name.getText());
    if (ts.isObjectBindingPattern(node)) for (const { propertyName, name } of node.elements) use(checker.getTypeAtLocation(node), (propertyName ?? name).getText());
    ts.forEachChild(node, visit);
  };
  files.forEach(visit);
  return found;
}

/** @param publicTypes - the files of the public types */
export function internalNames(root, publicTypes) {
  const { config } = ts.readConfigFile(path.join(root, "tsconfig.build.json"), ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram([...fileNames, ...publicTypes], options);
  const checker = program.getTypeChecker(); // it also makes nodes know their parents
  const isOwn = ({ fileName }) => fileNames.includes(fileName);
  const files = program.getSourceFiles();
  const own = files.filter(isOwn);
  const isKept = ({ fileName }) => publicTypes.includes(fileName) || ["protocol.ts", "node.ts"].includes(path.basename(fileName));
  const kept = new Set([...membersOf(files.filter(isKept)), ...usesOf(own, checker, isOwn)]);
  return [...membersOf(own)].filter((name) => !kept.has(name));
}
