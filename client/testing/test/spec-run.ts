import { execFile } from "node:child_process";
import path from "node:path";
import type { Project } from "./support.js";
import { CHROMIUM, PATIENCE_MS, root } from "./support.js";

export interface Told {
  title: string;
  status: string;
  errors: string;
  attachments: { name: string; body: string }[];
}

interface Suite {
  suites?: Suite[];
  specs: { title: string; tests: { results: { status: string; errors: { message: string }[]; attachments: { name: string; body?: string }[] }[] }[] }[];
}

function* specs({ suites, specs: own }: Suite): Generator<Told> {
  for (const { title, tests } of own) {
    const { status, errors, attachments } = tests[0]!.results.at(-1)!;
    yield { title, status, errors: errors.map(({ message }) => message).join("\n"), attachments: attachments.filter(({ name }) => name.startsWith("carillon")).map(({ name, body }) => ({ name, body: Buffer.from(body ?? "", "base64").toString() })) };
  }
  for (const suite of suites ?? []) yield* specs(suite);
}

/** Runs the Playwright tests of a project by the Chromium of this machine, and with its configuration, if it has one. */
export async function runSpecs(project: Project, config?: string): Promise<Told[]> {
  project.write(
    "run.config.js",
    `${config ? `import base from "./${config}";` : "const base = {};"}
     export default { ...base, reporter: "json", workers: 1, timeout: ${2 * PATIENCE_MS}, expect: { timeout: ${PATIENCE_MS} }, use: { ...base.use, launchOptions: { executablePath: ${JSON.stringify(CHROMIUM)}, args: ["--no-sandbox", "--disable-dev-shm-usage"] } } };`,
  );
  const output = await new Promise<string>((resolve) => {
    const command = [path.join(root, "node_modules/@playwright/test/cli.js"), "test", "-c", "run.config.js"];
    execFile(process.execPath, command, { cwd: project.folder, maxBuffer: 50_000_000 }, (_, stdout, stderr) => resolve(stdout || stderr));
  });
  if (!output.startsWith("{")) throw new Error(output);
  const told = JSON.parse(output) as Suite & { errors: { message: string }[] };
  if (told.errors.length > 0) throw new Error(told.errors.map(({ message }) => message).join("\n"));
  return told.suites!.flatMap((suite) => [...specs(suite)]);
}
