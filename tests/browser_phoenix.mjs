// Two pages of examples/phoenix-chat in a real browser; see browser_phoenix.rs.
// Arguments: directory of node_modules, path of Chromium, address of the server.

import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const [modules, executablePath, server] = process.argv.slice(2);
const puppeteer = createRequire(`${modules}/`)("puppeteer-core");
const TIMEOUT = { timeout: 30_000 };

const web = spawn(process.execPath,
  [fileURLToPath(new URL("../examples/phoenix-chat/serve.mjs", import.meta.url)), "0", modules],
  { stdio: ["ignore", "pipe", "inherit"] });
const [line] = await once(createInterface({ input: web.stdout }), "line");
const address = `${line.replace("page on ", "")}?server=ws://${server}/socket`;
const browser = await puppeteer.launch({
  executablePath,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"],
});

async function open(name, room) {
  const page = await (await browser.createBrowserContext()).newPage();
  page.on("pageerror", (error) => assert.fail(`${name}'s page: ${error.message}`));
  page.on("console", (line) => assert.fail(`${name}'s console: ${line.text()}`));
  await page.goto(address);
  await page.$eval("#name", (field, name) => { field.value = name; }, name);
  await page.$eval("#room", (field, room) => { field.value = room; }, room);
  await page.click("#toggle");
  return page;
}

async function join(name, room) {
  const page = await open(name, room);
  await state(page, `In room:${room} as ${name}`);
  return page;
}

function state(page, wanted) {
  return page.waitForFunction(
    (wanted) => document.querySelector("#state").textContent === wanted, TIMEOUT, wanted);
}

async function says(from, to, text) {
  await from.type("#text", text);
  await from.keyboard.press("Enter");
  for (const [page, whose] of [[to, ".message:not(.mine)"], [from, ".mine"]]) {
    await page.waitForFunction(
      (whose, text) => [...document.querySelectorAll(`#log ${whose}`)].some((p) => p.textContent.includes(text)),
      TIMEOUT, whose, text);
  }
}

/** Waits until a page shows just these people. */
function sees(page, ...names) {
  return page.waitForFunction(
    (names) => [...document.querySelectorAll("#here li")].map((li) => li.textContent).sort().join("\n") === names,
    TIMEOUT, names.sort().join("\n"));
}

try {
  const ada = await join("ada", "lobby");
  await sees(ada, "ada");
  const bob = await join("böb <i>", "lobby");
  const cleo = await join("cleo", "elsewhere");
  await Promise.all([sees(ada, "ada", "böb <i>"), sees(bob, "ada", "böb <i>"), sees(cleo, "cleo")]);

  await says(ada, bob, "Hello from ada");
  await says(bob, ada, "<b>markup</b> stays text \u{1F600}");
  assert.equal(await cleo.$eval("#log", (log) => log.querySelectorAll(".message").length), 0,
    "another room hears nothing");
  if (process.env.SCREENSHOTS) await screenshots(ada);

  await bob.click("#toggle");
  await state(bob, "Not joined");
  await sees(ada, "ada");
  // A window that is closed says nothing.
  const dora = await join("dora", "lobby");
  await sees(ada, "ada", "dora");
  await dora.close();
  await sees(ada, "ada");
} finally {
  await browser.close();
  web.kill();
}

async function screenshots(page) {
  await page.setViewport({ width: 960, height: 640 });
  for (const value of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
    await page.screenshot({ path: `${process.env.SCREENSHOTS}/phoenix-chat-${value}.png` });
  }
  await page.setViewport({ width: 390, height: 844 });
  await page.screenshot({ path: `${process.env.SCREENSHOTS}/phoenix-chat-phone.png` });
}
