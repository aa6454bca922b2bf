import { open } from "./open.jsx";
import { SecondApi } from "./SecondApi.jsx";

open(SecondApi);
