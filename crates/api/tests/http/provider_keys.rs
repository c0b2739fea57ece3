//! Keys of an identity provider that exists only in these tests: private ones as DER in base64, public ones as a JWK
//! has them.

pub const RSA_1_PRIVATE: &str = concat!(
    "MIIEowIBAAKCAQEAq/JZtYPIrWN+BaqcsBRrZiyeguUn4xGO3KMfBpJpPeIMEhTAiD0MkjlB1Un0WwE7WcDaTmncMdoa1K224r1H",
    "P6enib00Rx/c4y65RDFf+hYR6wc9SxP0ikkDvlwosc4gDD2+nevT2ryXEsl2n/Cbxk7kyuhMBHoNsYQHX2SajGuO8VJD6g3pfaV4",
    "3OWlUjyEHqu81J79Uh0UQJOuZ5idrLVxc1Pl0MU9x7akykmcKezHGrMxHQI9IyFvST1+HpIpchvU53AluTDY9qbbGrd/3AmI2hz8",
    "CWrXCQRP1q42O/hV3uD8MyOK7JzcGZ5xEtHAw54uqbwqMSiBRxPH4Oh+kwIDAQABAoIBADO9vMMDQfrzCnQYEAhoTJ01ZgmLfYI1",
    "wWChcW+f1S16/Rjfx8P3YvYJZscQ9wf/ieWLQ+X+svUJZbOEBpmaTXtZLvAi0D1q2CRA5h0gInp187RevFIAUkDekdLRlqlSlpA4",
    "cEjDM0AKKgfMOfcNB0MYcH6igmWCeOZnDXTmKB+Cq85yCGjqzLoFMkQIyCR5mWvas6q2XKrkKa6yYUhak0m5h/6lkeouKliac1Cu",
    "8w5DgMHhfDZYq45sgwirWhefK5edepplUxHg4SRo9aXgTUCRuhN5Cn4Q+9NKuDlYMakinbXiDT4TyzbX0z9WfxeAZFprb3JcWGbJ",
    "44a6ZtA6XkkCgYEA3aRRhOnaq/EU03f4Co7hw66CFzuXSsR7dJk6OrV7XSfvWP1vVVLG80GpzvOFiGAgyph61rA/iEQIVleUm6lJ",
    "DMQYU5OY/ynL5ulDvvj/pwXQ+SW0DAwX3HCw8epoTXkoyHSbZIZfXCA9WsNEXMhPAg/6p4v7aaYs0yfcHxkps28CgYEAxpnq/d5r",
    "r9LsayvMOlYVQ+rsV+ngOuPrOA2xBcnRz4OvjRE665i/DavajDILpTnAXjZbAvKO4yXYFQwcMt0DmHUJ7ZC/phi/cwqlldTe6x2n",
    "+DnQpNCPJcrhQaY4wmJ2J1afHxQy/E5+teiZoQuFLJ1xoVc1vaImjXdswgUyBR0CgYAFYXLVLjQvzmd6BsSPxQ44COmBlOHEX+a7",
    "Wujt+e/nwAtwdp6YTK0lxKdRrdnFCMhjAragtaClNzmYlwG1kbODStNoXAHv19zqWylY3oSeUmbTVZX8YOLHaDjzdoRXtSRHUYVg",
    "OF7iRqoWpPzo37gDTc4A+UX+N5mI+sO+QYcgowKBgDdi04NLVVLqit50j3cxbKrNSG5YHh2uVHoEb3sCxs2NlxbLWFg9+AIzDDcO",
    "+epxSbG8jPMsfCbi9fkgsHiK5KbO9R7YwGns+u91Z6p6fFSrp511Wjespk9O3jU1yxyC4xqjcKr1MiblKTdIEBg2o0RHAFqTfLxP",
    "DVtkk+MkGcgNAoGBAMayPqg4QkGfTvLMYKaG68dhyZ7ij5q69Wy1R+x7ZJEfsazivpyqS91XxPcMPd/qj8+s8LxHKkR6VOmlqZTi",
    "0UNV7ptczWm5FOjnr0q8W2bH3hGGKnBZwQ49ztT96r5P5vcB1crYAKxg9YhxT7hAnI1P0TgnClBOybyLyrO7UnO4",
);
pub const RSA_1_N: &str = concat!(
    "q_JZtYPIrWN-",
    "BaqcsBRrZiyeguUn4xGO3KMfBpJpPeIMEhTAiD0MkjlB1Un0WwE7WcDaTmncMdoa1K224r1HP6enib00Rx_c4y65RDFf-hYR6wc9",
    "SxP0ikkDvlwosc4gDD2-",
    "nevT2ryXEsl2n_Cbxk7kyuhMBHoNsYQHX2SajGuO8VJD6g3pfaV43OWlUjyEHqu81J79Uh0UQJOuZ5idrLVxc1Pl0MU9x7akykmc",
    "KezHGrMxHQI9IyFvST1-",
    "HpIpchvU53AluTDY9qbbGrd_3AmI2hz8CWrXCQRP1q42O_hV3uD8MyOK7JzcGZ5xEtHAw54uqbwqMSiBRxPH4Oh-kw",
);
pub const RSA_2_PRIVATE: &str = concat!(
    "MIIEowIBAAKCAQEAsb7gMhrnlK0aZvRx3sH/RrcRYGM8MWOBQy9vjfYG/MqHcJavgB0hWbbTdj89MjApbdaZNtvQ6OACfCyPfYTJ",
    "PXUwu7RRr6FBo9PRdX7qi+DIVlKAtMiMcJxy3DUQZkRHNmt6w1Vui3Q16MHElW5cdOTYY+1dzFAun/wBnZ5FOHc7PsVStUBJfuKj",
    "UxlUcNsS5EYd/xZhKcsczKGcmio0G7ljQ9zovgSK9Dh85FVv91AFStm1GZ269XzT5eM1ExEt+swi97gTsE/e8IMqtiGr0TvU5Fk5",
    "uaHyMA6f1Z32fSAcT8ITvQMOgMOS7ipspgNBXEdSl9vAhraZiP15M32/zwIDAQABAoIBAD1dasWhqEYaJT1aM132mA1v8p3WZNeg",
    "ROZPIDJguDTaLzxdqaWPaQ4yInt2hcgn/IWhSzA3X76mZ/U65ScuitOe+/4x2OnLwH+xB2WLNaqpJkE3JpxDiMjwGm+QGmNUO0m8",
    "fZumiQ24R0xeaWI1wdHRmCuXrYR2QkKVnHEwTTGa1RAmjIWXJkO/1a5kBYWkQ+UH9rDNADGr4OkQ9iIMFSIa+Mk2K9ffd/QsmIjP",
    "MI3TfJi62CIe29/lo9WOlouYS47hD9yqFaZ5qT5StDuYbdnK04XKpqc+oOWmoAETdcF/vL1nxBWu53jFJUUpcM5NRSImgAVy7lCb",
    "z2SQ6lF+u4ECgYEA2utx6N8KngSX2efAWV1h0cyk9bANiZSG4fS1oVLOJ2YRG9zeJyb4V8d0O1TN2ETSEnm/Kh1PLDipEZ44dz5Y",
    "pgz/ASZxrxRs+1TySBMUZdzcKBpBXgCwbU39g4SlZ4QcmRQ+1jETYnhIHOMaYd7sOSxFp4laNR84PHIUr22g6iECgYEAz9oVvgOy",
    "g8bMkdFWzzPboIarum/lJSt0CbpqTgVfF1fQevLgMgJzrvs0CNY/dYQlze3qoL5cSxdqeFC8gQZzEe3LVgZ52O/7mlu7CVn50Zg4",
    "sXdzYwtGd1NC/QvvuUznkDVf4Jf2rIMUDABCuyZVeKjNqkmxOeaCAcFYoes7y+8CgYAU5p+0fP71gTjCPCcYIRtCvYgOUOWp+f06",
    "u3NP2KkIB+2gPGEVWdoh/0/wjjMs770iuG7w5WV2sl4p6XI4qEIscFc0U+hMr+WLxVtwWCn9Y629Qmx1PhmaBfUrRlHIZUuZrd4l",
    "8v+HyjYQU/pj17Wz668mxK1RHw7ubnHdIdlYIQKBgFyA87I4VQd+v2aaIydeLf24Uc9Mo0+ykhcORudoTpTF+Tvuwcaf/ro+hD72",
    "kxGK+YQ3wXc+oTauOi1HyU0nAKlXCmrDwRDCZViiQJB94cfdFkYtIkZPK1JJ1QNnf44ZYul0R7JeD2Nhhtd8ejZubhWgEsAZwe1B",
    "4FRFp1uQpHEzAoGBAMK5NBnz5gQDEyXbkuuIt0+JQ3kkLII4NX03LuOX7ocf/TO1BfBTnU6yLB5UB3CBQm6hDhsAXjr7w55pyDuP",
    "XgL8no4ktyV8IiI3qhVS93WzV48nsQdB5/BJbcrkomSgnBdMke7tdumxfQomAZBByOcenGfxItT2Y7zap6XXiEJN",
);
pub const RSA_2_N: &str = concat!(
    "sb7gMhrnlK0aZvRx3sH_RrcRYGM8MWOBQy9vjfYG_MqHcJavgB0hWbbTdj89MjApbdaZNtvQ6OACfCyPfYTJPXUwu7RRr6FBo9PR",
    "dX7qi-DIVlKAtMiMcJxy3DUQZkRHNmt6w1Vui3Q16MHElW5cdOTYY-",
    "1dzFAun_wBnZ5FOHc7PsVStUBJfuKjUxlUcNsS5EYd_xZhKcsczKGcmio0G7ljQ9zovgSK9Dh85FVv91AFStm1GZ269XzT5eM1Ex",
    "Et-swi97gTsE_e8IMqtiGr0TvU5Fk5uaHyMA6f1Z32fSAcT8ITvQMOgMOS7ipspgNBXEdSl9vAhraZiP15M32_zw",
);
pub const EC_PRIVATE: &str = concat!(
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguQFpci8F/6Yzx2Eak15a5kHYQi7KaTVtgiYBjZef+myhRANCAATi",
    "IGx8/GCJSlFWawDYseQICdzblrtHmTr+/uxtdJxU7BDcfVvL1/5wPT9CvuMcFpb4LCotMge+w3POJNOx9hqa",
);
pub const EC_X: &str = "4iBsfPxgiUpRVmsA2LHkCAnc25a7R5k6_v7sbXScVOw";
pub const EC_Y: &str = "ENx9W8vX_nA9P0K-4xwWlvgsKi0yB77Dc84k07H2Gpo";
