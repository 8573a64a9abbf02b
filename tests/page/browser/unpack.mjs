// Unpack Chromium with its libraries and fonts into TMPDIR, and print the path of the program.
import chromium from "@sparticuz/chromium";

console.log(await chromium.executablePath());
